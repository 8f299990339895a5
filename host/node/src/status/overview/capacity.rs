//! What the node has, what it uses of that, and what is scarce.

use std::path::Path;

use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::admission::{MemoryBudget, TASK_DESCRIPTORS, available_memory, free_descriptors, total_memory};
use crate::status::folders::FoldersView;
use crate::status::process;
use crate::status::sources::StatusSources;

/// Free bytes and inodes below which a folder is marked.
const FEW_BYTES: u64 = 1 << 30;
const FEW_INODES: u64 = 10_000;

/// What the node has.
#[derive(Serialize)]
pub(super) struct Capacity {
    slots: u64,
    running: u64,
    memory_budget: u64,
    /// What of the budget is promised to tasks that are worked on, or asked for.
    memory_promised: u64,
    /// What the guests of running tasks have, in bytes.
    memory_used: u64,
    /// None if the machine does not say.
    memory_available: Option<u64>,
    /// Whether less memory is available than what the budget leaves to the machine.
    memory_low: bool,
    /// None if nothing limits them.
    descriptors_free: Option<u64>,
    /// Whether too few descriptors are left for a task in each free slot.
    descriptors_low: bool,
    /// Threads of the node's process.
    threads: Option<u64>,
    folders: Vec<FolderView>,
}

#[derive(Serialize)]
struct FolderView {
    variable: &'static str,
    path: String,
    /// None if its file system does not answer.
    free_bytes: Option<u64>,
    /// None as well if the file system makes them as needed.
    free_inodes: Option<u64>,
    /// Whether little is free, or nobody knows.
    low: bool,
}

/// What the kernel says of memory and of the process.
#[derive(Debug, Clone, Copy, Default)]
struct MachineLook {
    available: Option<u64>,
    total: u64,
    descriptors: Option<u64>,
    threads: Option<u64>,
}

impl Capacity {
    pub(super) async fn of(sources: &StatusSources) -> Self {
        let StatusSources { about, readiness, records, .. } = sources;
        let machine = spawn_blocking(|| MachineLook {
            available: Some(available_memory()),
            total: total_memory(),
            descriptors: free_descriptors(),
            threads: process::look().map(|process| process.threads),
        });
        let (machine, folders) = tokio::join!(machine, sources.folders.look());
        let machine = machine.unwrap_or_default();
        let (slots, running) = (readiness.slots(), records.totals().running());
        let measures = records.measures();
        Self {
            slots,
            running,
            memory_budget: sources.memory_budget.now().bytes(),
            memory_promised: (sources.memory_promised)(),
            memory_used: measures.runners.values().map(|runner| runner.memory_bytes).sum(),
            memory_available: machine.available,
            memory_low: is_memory_low(&machine),
            descriptors_free: machine.descriptors,
            descriptors_low: are_descriptors_low(machine.descriptors, slots.saturating_sub(running)),
            threads: machine.threads,
            folders: [("WORK_DIR", "work", &about.work_dir), ("CACHE_DIR", "cache", &about.cache_dir)]
                .map(|(variable, word, path)| FolderView::of(variable, word, path, folders.as_ref()))
                .into(),
        }
    }
}

/// The budget counts on the rest of the machine needing no more than it leaves.
fn is_memory_low(machine: &MachineLook) -> bool {
    let left = machine.total - MemoryBudget::of_total(machine.total).bytes();
    machine.available.is_some_and(|available| available < left)
}

fn are_descriptors_low(free: Option<u64>, free_slots: u64) -> bool {
    free.is_some_and(|free| free < TASK_DESCRIPTORS.saturating_mul(free_slots.max(1)))
}

impl FolderView {
    fn of(variable: &'static str, word: &str, path: &Path, folders: Option<&FoldersView>) -> Self {
        let found = folders.and_then(|folders| folders.free.iter().find(|(of, ..)| *of == word));
        let (bytes, inodes) = (found.map(|(_, bytes, _)| *bytes), found.and_then(|(_, _, inodes)| *inodes));
        let low = bytes.is_none_or(|bytes| bytes < FEW_BYTES) || inodes.is_some_and(|free| free < FEW_INODES);
        Self { variable, path: path.display().to_string(), free_bytes: bytes, free_inodes: inodes, low }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn what_is_scarce_is_marked() {
        let look = |available| MachineLook { available, total: 100 * GIB, ..MachineLook::default() };
        for (available, low) in [(None, false), (Some(11 * GIB), false), (Some(9 * GIB), true)] {
            assert_eq!(is_memory_low(&look(available)), low, "{available:?}");
        }
        for (free, slots, low) in
            [(None, 4, false), (Some(128), 4, false), (Some(127), 4, true), (Some(31), 0, true)]
        {
            assert_eq!(are_descriptors_low(free, slots), low, "{free:?} for {slots}");
        }
        let folders = |bytes, inodes| FoldersView { free: vec![("work", bytes, inodes)], cache: (0, 0) };
        for (folders, low) in [
            (Some(folders(2 * GIB, None)), false),
            (Some(folders(2 * GIB, Some(9_999))), true),
            (Some(folders(GIB - 1, Some(10_000))), true),
            // A file system that does not answer, and a folder that went.
            (None, true),
            (Some(FoldersView::default()), true),
        ] {
            let view = FolderView::of("WORK_DIR", "work", Path::new("/work"), folders.as_ref());
            assert_eq!(view.low, low, "{folders:?}");
        }
    }
}
