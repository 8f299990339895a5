//! Reads clocks many times, and then creates timers without end that it never waits for.
use wasip2::clocks::{monotonic_clock, wall_clock};
guests::runner!("clock_flood", |_| {
    for _ in 0..200_000 {
        std::hint::black_box((monotonic_clock::now(), wall_clock::now()));
    }
    let mut held = Vec::new();
    loop {
        held.push(monotonic_clock::subscribe_duration(3_600_000_000_000));
    }
});
