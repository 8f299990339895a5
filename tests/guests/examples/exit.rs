//! Leaves by exit.
guests::runner!("exit", |_| std::process::exit(7));
