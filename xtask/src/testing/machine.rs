//! What the machine has: cores, and the files that test programs wrote.

use std::num::NonZero;
use std::path::Path;
use std::thread::available_parallelism;

use anyhow::{Context as _, Result};

/// How many cores there are.
pub(super) fn cores() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// Reads a file that a test program wrote; what is no UTF-8 is replaced.
pub(super) fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
