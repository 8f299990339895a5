//! The memory that runners may use together (`MEMORY_BUDGET`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::machine;

/// What the node itself keeps back of the machine's memory at least: its own code, connections and compiled runners.
const OWN_BYTES: u64 = 128 << 20;
/// What each task takes in the node beside its runner's memory: parts that wait to be sent, and reads ahead.
const TASK_BYTES: u64 = 48 << 20;

/// The memory that all tasks may use together, with what the node holds on their behalf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemoryBudget {
    bytes: u64,
}

impl MemoryBudget {
    /// What the operator set.
    pub(crate) const fn of(bytes: u64) -> Self {
        Self { bytes }
    }

    /// What this machine, or the container that the process is in, has: nine tenths, and 128 MiB kept back at least.
    pub(crate) fn of_machine() -> Self {
        Self::of_total(machine::total_memory())
    }

    /// What a machine with so much memory has.
    pub(crate) fn of_total(total: u64) -> Self {
        let kept_back = (total / 10).max(OWN_BYTES).min(total / 2);
        Self { bytes: total - kept_back }
    }

    /// The whole, in bytes.
    pub(crate) const fn bytes(self) -> u64 {
        self.bytes
    }

    /// The most memory that one runner can be given: a limit above it could never be kept.
    pub(crate) fn largest_runner(self) -> u64 {
        self.bytes.saturating_sub(TASK_BYTES).max(self.bytes / 2)
    }

    /// What a task takes of the budget whose runner may use this much.
    pub(crate) fn of_task(self, runner_bytes: u64) -> u64 {
        // A budget that is smaller than that still lets one task run.
        runner_bytes.saturating_add(TASK_BYTES).min(self.bytes)
    }
}

/// The budget that holds at this moment. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct LiveBudget(Arc<AtomicU64>);

impl LiveBudget {
    pub(crate) fn new(budget: MemoryBudget) -> Self {
        Self(Arc::new(AtomicU64::new(budget.bytes)))
    }

    pub(crate) fn now(&self) -> MemoryBudget {
        MemoryBudget::of(self.0.load(Ordering::Relaxed))
    }

    /// Holds from the next lease on; running tasks keep what they were promised.
    pub(crate) fn set(&self, budget: MemoryBudget) {
        self.0.store(budget.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn small_machines_keep_a_part_for_the_node_and_large_ones_a_tenth() {
        for (total, budget) in [(100, 50), (400, 272), (1000, 872), (16_000, 14_400)] {
            assert_eq!(MemoryBudget::of_total(total * MIB).bytes() / MIB, budget, "of {total} MiB");
        }
    }

    #[test]
    fn one_task_fits_into_every_budget() {
        for bytes in [1, 10 * MIB, 272 * MIB, 100_000 * MIB] {
            let budget = MemoryBudget::of(bytes);
            assert!(budget.of_task(budget.largest_runner()) <= bytes, "{bytes}");
            assert!(budget.largest_runner() <= bytes);
        }
    }
}
