//! Writes 300 MiB into a file that has no name any more.
use std::io::Write;
guests::runner!("unlinked", |_| {
    let mut file = std::fs::File::create("/work/gone").map_err(guests::failed)?;
    std::fs::remove_file("/work/gone").map_err(guests::failed)?;
    let block = vec![0u8; 1 << 20];
    for _ in 0..300 {
        file.write_all(&block).map_err(guests::failed)?;
    }
    Ok(())
});
