//! Recurses without end.
#[allow(unconditional_recursion, reason = "that is the point")]
fn deeper(n: u64) -> u64 {
    let local = std::hint::black_box([n; 64]);
    deeper(n + 1) + local[0]
}
guests::runner!("recurse", |_| {
    std::hint::black_box(deeper(0));
    Ok(())
});
