//! Fails with a reason of several megabytes.
guests::runner!("huge_error", |_| Err(guests::Error::Failed("no ".repeat(2 << 20))));
