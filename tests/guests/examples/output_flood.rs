//! Writes artifacts without end.
guests::runner!("output_flood", |_| {
    for n in 0u64.. {
        guests::outputs::put_bytes(&format!("{n}.bin"), &[0; 1000], &guests::plain())?;
    }
    Ok(())
});
