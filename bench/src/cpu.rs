//! Processor time, as Linux counts it.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// What Linux counts in: this is fixed for user space, whatever the kernel's own tick is.
const TICK: Duration = Duration::from_millis(10);

/// What a process has used, user and system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    /// Its own threads.
    pub own: Duration,
    /// Its children that have ended and were waited for, and theirs.
    pub children: Duration,
}

/// What a process has used so far.
///
/// # Errors
/// Without `/proc`, or when there is no such process.
pub fn used(pid: &str) -> Result<Used> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    // The name, in parentheses, may have spaces in it; the third field comes after it.
    let (_, fields) = text.rsplit_once(')').with_context(|| format!("{path} has no name in it"))?;
    let ticks: Vec<u32> =
        fields.split_whitespace().skip(11).take(4).map_while(|field| field.parse().ok()).collect();
    let &[user, system, children_user, children_system] = ticks.as_slice() else {
        anyhow::bail!("{path} has no times in it");
    };
    Ok(Used { own: TICK * (user + system), children: TICK * (children_user + children_system) })
}
