//! What a node takes of the machine, together with the processes that it has started.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(20);
/// The argument of a process that compiles: it has limits of its own.
const COMPILER: &str = "compile-component";

/// Watches the memory of a process and of all below it until it is dropped.
pub(crate) struct MemoryWatch {
    pid: u32,
    tree_before: u64,
    own_before: u64,
    peak: Arc<AtomicU64>,
    looking: tokio::task::JoinHandle<()>,
}

impl MemoryWatch {
    /// Begins; what is in use now is what growth is compared with.
    pub(crate) fn start(pid: u32) -> Self {
        // The kernel counts the highest value from here on.
        let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
        let tree_before = memory_of_tree(pid);
        let peak = Arc::new(AtomicU64::new(tree_before));
        let highest = peak.clone();
        let looking = tokio::spawn(async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                highest.fetch_max(memory_of_tree(pid), Ordering::Relaxed);
            }
        });
        Self { pid, tree_before, own_before: field(pid, "VmRSS:"), peak, looking }
    }

    /// How many bytes more were in use since the start, at most: by all processes at one of the looks, or by the first one at
    /// any time.
    pub(crate) fn growth(&self) -> u64 {
        let tree = self.peak.load(Ordering::Relaxed).max(memory_of_tree(self.pid));
        let own = field(self.pid, "VmHWM:").saturating_sub(self.own_before);
        tree.saturating_sub(self.tree_before).max(own)
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// How many descriptors a process has open.
pub(crate) fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the process lives").count()
}

/// How many threads a process has.
pub(crate) fn threads(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives").count()
}

/// Bytes of anonymous memory of a process and all below it, compilers aside.
fn memory_of_tree(pid: u32) -> u64 {
    let parents = parents();
    let below = |pid: u32| parents.iter().filter(move |(_, parent)| **parent == pid).map(|(child, _)| *child);
    let (mut sum, mut rest) = (0, vec![pid]);
    while let Some(pid) = rest.pop() {
        if !compiles(pid) {
            sum += field(pid, "RssAnon:") + field(pid, "RssShmem:");
        }
        rest.extend(below(pid));
    }
    sum
}

/// Every process with its parent.
fn parents() -> BTreeMap<u32, u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses and may have any character.
        let (_, rest) = stat.rsplit_once(") ")?;
        Some((pid, rest.split(' ').nth(1)?.parse().ok()?))
    })
    .collect()
}

fn compiles(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| line.split(|byte| *byte == 0).any(|argument| argument == COMPILER.as_bytes()))
}

/// A field of a process's status, in bytes; 0 of one that has ended.
fn field(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or_default() << 10
}
