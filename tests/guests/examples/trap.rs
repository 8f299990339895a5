//! Runs into unreachable code.
guests::runner!("trap", |_| std::process::abort());
