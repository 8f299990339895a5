//! What people see of the heartbeats of a lease.

use std::time::Duration;

use tokio::time::Instant;

/// When a lease ends unless it is extended, and when that is tried next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeaseTimes {
    pub(crate) lease_ends: Instant,
    pub(crate) next_heartbeat: Instant,
}

impl LeaseTimes {
    /// The time until the end of the lease, and until the next heartbeat; zero if that is due.
    pub(crate) fn left(&self) -> (Duration, Duration) {
        let now = Instant::now();
        let until = |at: Instant| at.saturating_duration_since(now);
        (until(self.lease_ends), until(self.next_heartbeat))
    }
}
