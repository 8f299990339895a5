//! Looks for data of an earlier task in memory that it has not written, and leaves its own there.
guests::runner!("left_over", |_| {
    const BYTES: usize = 64 << 20;
    let layout = std::alloc::Layout::from_size_align(BYTES, 4096).map_err(guests::failed)?;
    // Not `alloc_zeroed`, which would clear what is looked for.
    let block = unsafe { std::slice::from_raw_parts_mut(std::alloc::alloc(layout), BYTES) };
    let mark = b"left by an earlier task";
    let found = block.windows(mark.len()).step_by(mark.len()).filter(|window| window == mark).count();
    let written = block.iter().filter(|byte| **byte != 0).count();
    for place in block.chunks_exact_mut(mark.len()) {
        place.copy_from_slice(mark);
    }
    std::hint::black_box(&block);
    std::fs::write("/work/left-over", mark).map_err(guests::failed)?;
    // The allocator's own records are few.
    if found == 0 && written < 1024 {
        return Ok(());
    }
    Err(guests::Error::Failed(format!("found {found} marks and {written} bytes that are not 0")))
});
