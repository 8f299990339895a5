//! What a process holds in memory, as Linux counts it.

use anyhow::{Context as _, Result};

/// Resident memory of this process, in bytes.
///
/// # Errors
/// Without `/proc`.
pub fn resident() -> Result<u64> {
    field("self", "VmRSS:")
}

/// A field of `/proc/PID/status` that is given in kB, in bytes.
///
/// # Errors
/// Without `/proc`, or when there is no such process or field.
pub fn field(pid: &str, name: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    let value = value.with_context(|| format!("{path} has no {name}"))?;
    let kib: u64 = value.trim().trim_end_matches(" kB").parse().with_context(|| format!("{name}{value}"))?;
    Ok(kib * 1024)
}
