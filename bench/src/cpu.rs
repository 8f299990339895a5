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

/// What a process and its living children have used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// Processor time of the process itself.
    pub(crate) own: Duration,
    /// Processor time of its children that live.
    pub(crate) children: Duration,
    /// Context switches of all of their threads that live.
    pub(crate) switches: u64,
}

impl Cost {
    /// What was used since.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            own: self.own.saturating_sub(before.own),
            children: self.children.saturating_sub(before.children),
            switches: self.switches.saturating_sub(before.switches),
        }
    }
}

/// What a process and its living children have used so far.
///
/// # Errors
/// Without `/proc`, or when there is no such process.
pub(crate) fn cost(pid: &str) -> Result<Cost> {
    let mut cost = Cost { own: processor_time(pid)?.own, children: Duration::ZERO, switches: switches(pid) };
    for child in descendants(pid) {
        // One that ends meanwhile counts nothing.
        cost.children += processor_time(&child).map(|time| time.own).unwrap_or_default();
        cost.switches += switches(&child);
    }
    Ok(cost)
}

/// Children of all threads of a process.
pub(crate) fn descendants(pid: &str) -> Vec<String> {
    let of_thread = |thread: &str| {
        std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")).unwrap_or_default()
    };
    let children: String = threads(pid).iter().map(|thread| of_thread(thread) + " ").collect();
    children.split_whitespace().map(str::to_owned).collect()
}

fn threads(pid: &str) -> Vec<String> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    threads.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

fn switches(pid: &str) -> u64 {
    let of_thread = |thread: String| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/status")).unwrap_or_default();
        let lines = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
        lines.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum::<u64>()
    };
    threads(pid).into_iter().map(of_thread).sum()
}
