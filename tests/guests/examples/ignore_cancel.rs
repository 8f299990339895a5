//! Is told to stop, again and again, and goes on.
guests::runner!("ignore_cancel", |_| loop {
    std::hint::black_box(guests::control::wait_cancelled(10));
});
