//! Loops without end and without a host call.
guests::runner!("spin", |_| loop {
    std::hint::black_box(0);
});
