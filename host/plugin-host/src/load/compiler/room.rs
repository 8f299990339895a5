//! Whether the machine has memory for one more compiler.

use std::fs::File;
use std::io::Read as _;

/// More than the kernel writes.
const MAX_BYTES: u64 = 16 << 10;

/// Whether so much memory is available. Where nobody says, there is.
pub(super) fn has_memory(bytes: u64) -> bool {
    let mut text = String::new();
    let read = File::open("/proc/meminfo").and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    read.is_err() || available(&text).is_none_or(|available| available >= bytes)
}

/// The memory that can be had without swapping, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:   2048 kB\nBuffers: 1 kB\n"), Some(2 << 20));
        assert_eq!(available("MemTotal: 9 kB\n"), None);
        assert!(has_memory(0));
    }
}
