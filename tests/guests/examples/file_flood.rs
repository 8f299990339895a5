//! Creates empty files without end.
guests::runner!("file_flood", |_| {
    for n in 0u64.. {
        std::fs::write(format!("/work/{n}"), "").map_err(guests::failed)?;
    }
    Ok(())
});
