//! Writes a file without end into its directory.
use std::io::Write;
guests::runner!("scratch_fill", |_| {
    let mut file = std::fs::File::create("/work/big").map_err(guests::failed)?;
    let block = vec![0u8; 1 << 20];
    loop {
        file.write_all(&block).map_err(guests::failed)?;
    }
});
