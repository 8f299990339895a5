//! Never ends, and asks nobody.
guests::runner!("spin", |_| loop {
    std::hint::black_box(0);
});
