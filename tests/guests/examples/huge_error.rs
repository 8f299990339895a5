//! Fails with a reason of several megabytes.
guests::runner!("huge_error", |_| Err(guests::RunError::Failed("no ".repeat(2 << 20))));
