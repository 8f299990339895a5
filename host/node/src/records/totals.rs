//! How many leases ended how since the node started.

use crate::records::outcome::LeaseOutcome;

/// Counts over all leases since the node started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeaseTotals {
    /// Leases granted to this node.
    pub leased: u64,
    /// Leases that ended as completed.
    pub completed: u64,
    /// Leases that ended as failed.
    pub failed: u64,
    /// Leases that ended as cancelled.
    pub cancelled: u64,
    /// Leases that ended as lost.
    pub lost: u64,
    /// Runs whose runner could not be ended, whether or not it has ended since.
    pub stuck_runs: u64,
    /// Bytes received from domain servers.
    pub bytes_in: u64,
    /// Bytes sent to domain servers.
    pub bytes_out: u64,
}

impl LeaseTotals {
    /// Leases that have not ended.
    pub fn running(&self) -> u64 {
        self.leased.saturating_sub(self.completed + self.failed + self.cancelled + self.lost)
    }

    pub(super) fn count(&mut self, outcome: &LeaseOutcome) {
        match outcome {
            LeaseOutcome::Completed { .. } => self.completed += 1,
            LeaseOutcome::Failed { .. } => self.failed += 1,
            LeaseOutcome::Cancelled => self.cancelled += 1,
            LeaseOutcome::Lost { .. } => self.lost += 1,
        }
    }
}
