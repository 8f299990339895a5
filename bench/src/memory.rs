//! Memory of processes and of the machine, as Linux counts it.

use std::path::Path;

use anyhow::{Context as _, Result};

/// Memory that is available without swapping, in bytes: free memory and caches.
///
/// # Errors
/// Without `/proc`.
pub(crate) fn available() -> Result<u64> {
    kib_in("/proc/meminfo", "MemAvailable:")
}

/// Resets the peak of a process (`VmHWM`) to its current resident memory.
///
/// # Errors
/// When there is no such process, or it is another user's.
pub(crate) fn reset_peak(pid: &str) -> Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    std::fs::write(&path, "5").with_context(|| format!("writing {path}"))
}

/// Makes a process the first one that Linux kills when memory runs out.
///
/// # Errors
/// When there is no such process, or it is another user's.
pub(crate) fn kill_first(pid: &str) -> Result<()> {
    let path = format!("/proc/{pid}/oom_score_adj");
    std::fs::write(&path, "1000").with_context(|| format!("writing {path}"))
}

/// Resident memory of this process, in bytes.
///
/// # Errors
/// Without `/proc`.
pub(crate) fn resident() -> Result<u64> {
    field("self", "VmRSS:")
}

/// A field of `/proc/PID/status` that is given in kB, in bytes.
///
/// # Errors
/// Without `/proc`, or when there is no such process or field.
pub(crate) fn field(pid: &str, name: &str) -> Result<u64> {
    kib_in(format!("/proc/{pid}/status"), name)
}

/// A line `NAME  NUMBER kB`, in bytes.
fn kib_in(path: impl AsRef<Path>, name: &str) -> Result<u64> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let value = value.with_context(|| format!("{} has no {name}", path.display()))?;
    let kib: u64 = value.trim().trim_end_matches(" kB").parse().with_context(|| format!("{name}{value}"))?;
    Ok(kib * 1024)
}
