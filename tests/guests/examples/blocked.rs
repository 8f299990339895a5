//! Waits in a host call for an event that never comes.
guests::runner!("blocked", |_| loop {
    guests::control::wait_cancelled(u64::MAX);
});
