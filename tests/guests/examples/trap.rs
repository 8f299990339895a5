//! Traps: `abort` is an unreachable instruction.
guests::runner!("trap", |_| std::process::abort());
