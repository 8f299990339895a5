//! Processor time of processes, as Linux counts it.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// The unit in `/proc`: fixed for user space, whatever the kernel's own tick is.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of a process, user and system together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ProcessorTime {
    /// Time of its own threads.
    pub(crate) own: Duration,
    /// Time of its children that have ended and were waited for, and of theirs.
    pub(crate) children: Duration,
}

/// Processor time of a process so far.
///
/// # Errors
/// Without `/proc`, or when there is no such process.
pub(crate) fn processor_time(pid: &str) -> Result<ProcessorTime> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    // The name, in parentheses, may have spaces in it; the third field comes after it.
    let (_, fields) = text.rsplit_once(')').with_context(|| format!("{path} has no name in it"))?;
    let ticks: Vec<u32> =
        fields.split_whitespace().skip(11).take(4).map_while(|field| field.parse().ok()).collect();
    let &[user, system, children_user, children_system] = ticks.as_slice() else {
        anyhow::bail!("{path} has no times in it");
    };
    Ok(ProcessorTime { own: TICK * (user + system), children: TICK * (children_user + children_system) })
}
