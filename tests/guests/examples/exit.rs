//! Exits instead of returning.
guests::runner!("exit", |_| std::process::exit(7));
