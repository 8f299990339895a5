//! Fills 256 MiB of memory again and again, each time by one instruction.
guests::runner!("memory_fill", |_| {
    let mut block = vec![1u8; 256 << 20];
    loop {
        block.fill(std::hint::black_box(7));
        std::hint::black_box(&block);
    }
});
