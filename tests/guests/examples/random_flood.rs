//! Requests many random bytes, and then more at once than fit into memory.
use wasip2::random::random;
guests::runner!("random_flood", |_| {
    for _ in 0..50_000 {
        std::hint::black_box(random::get_random_u64());
    }
    for _ in 0..50 {
        std::hint::black_box(random::get_random_bytes(1 << 16));
    }
    std::hint::black_box(random::get_random_bytes(1 << 40));
    Ok(())
});
