//! Fails with a reason that nobody can read.
guests::runner!("huge_error", |_| Err(guests::RunError::Failed("no ".repeat(2 << 20))));
