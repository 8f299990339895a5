//! Waits in the host for something that does not come.
guests::runner!("blocked", |_| loop {
    guests::control::wait_cancelled(u64::MAX);
});
