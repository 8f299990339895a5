//! Creates artifacts without end and never closes one.
guests::runner!("handle_flood", |_| {
    let mut held = Vec::new();
    for n in 0u64.. {
        held.push(guests::outputs::create(&format!("{n}.bin"), &guests::plain())?);
    }
    Ok(())
});
