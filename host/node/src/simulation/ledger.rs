//! What the simulated job server writes down of tasks and leases.

use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;

/// A submitted task.
pub(super) struct SimTask {
    pub(super) capability: &'static str,
    pub(super) max_attempts: u32,
    pub(super) attempts: u32,
    pub(super) state: TaskState,
    pub(super) cancel_wanted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskState {
    Queued,
    /// With the number of the lease.
    Leased(usize),
    Completed,
    Failed,
    Cancelled,
}

/// A lease that was granted.
pub(super) struct SimLease {
    pub(super) task: usize,
    pub(super) node: usize,
    pub(super) incarnation: usize,
    /// When the last heartbeat was accepted, or the lease granted.
    pub(super) extended: Duration,
    /// When the last heartbeat was sent whose acceptance the node heard of, or the lease granted.
    pub(super) heard: Duration,
    pub(super) expires: Duration,
    pub(super) end: Option<LeaseEnd>,
    /// The lease whose report ended it: another one, if that report was late.
    pub(super) ended_by: Option<usize>,
    pub(super) granted: Duration,
    /// Whether its runner does not hear that it should stop, or leaves uploads that take time to abort.
    pub(super) slow_to_end: bool,
    /// When its final report was sent first.
    pub(super) reported: Option<Duration>,
    pub(super) events: Events,
}

/// The events of one run.
#[derive(Default)]
pub(super) struct Events {
    pub(super) emitted: u64,
    /// Those that the node has dropped, as it says when the runner ends.
    pub(super) dropped: u64,
    /// The numbers of those that have arrived.
    pub(super) arrived: BTreeSet<u64>,
}

/// An event as it was reported: the lease of its runner, and its number.
pub(super) type Event = (usize, u64);

/// How the server saw a lease end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeaseEnd {
    Completed,
    Failed,
    Cancelled,
    Expired,
}

/// The id that stands for a lease in what a node reports.
pub(super) fn lease_id(lease: usize) -> Uuid {
    Uuid::from_u64_pair(2, lease as u64)
}

/// The lease that an id stands for.
pub(super) fn lease_of(id: Uuid) -> Option<usize> {
    let (high, number) = id.as_u64_pair();
    (high == 2).then_some(number as usize)
}
