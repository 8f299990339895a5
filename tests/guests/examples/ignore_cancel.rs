//! Ignores every request to stop.
guests::runner!("ignore_cancel", |_| loop {
    std::hint::black_box(guests::control::wait_cancelled(10));
});
