//! One start of a node, and what it was told.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::records::TaskRecords;
use crate::shutdown::Shutdown;

/// A node, and which of its starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) node: usize,
    pub(super) incarnation: usize,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "node {} (start {})", self.node, self.incarnation)
    }
}

/// One start of a node.
pub(super) struct Incarnation {
    pub(super) node: usize,
    /// Fires when its process dies.
    pub(super) crash: CancellationToken,
    pub(super) shutdown: Shutdown,
    pub(super) records: TaskRecords,
    /// When it was asked to stop, and to end at once.
    pub(super) stopped: Option<Duration>,
    pub(super) killed: Option<Duration>,
    /// When it was gone, and whether by itself.
    pub(super) gone: Option<(Duration, Gone)>,
    /// How many leases it was given.
    pub(super) leases: u64,
    /// What it knows of each task that was leased to it.
    pub(super) known: BTreeMap<Uuid, Known>,
}

/// How a start of a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    Returned,
    Crashed,
}

/// What a node was told of a task.
#[derive(Default)]
pub(super) struct Known {
    /// The latest lease of it.
    pub(super) lease: usize,
    /// Until when the lease lasts, as far as the node was told.
    pub(super) deadline: Duration,
    /// Whether the node could read the lease.
    pub(super) readable: bool,
    /// How it knows that the lease is over.
    pub(super) over: Option<&'static str>,
    /// Heartbeats, and final reports, that were answered 403 or 404, which a proxy may say.
    pub(super) doubts: (u32, u32),
}

/// The lease that a call is about, as far as the caller knew when it made the call.
#[derive(Debug, Clone, Copy)]
pub(super) struct About {
    pub(super) who: Who,
    pub(super) task: Uuid,
    pub(super) lease: Option<usize>,
    /// When the call was made.
    pub(super) at: Duration,
}

impl About {
    /// A lease of an earlier start of the node, of which this one knows nothing.
    pub(super) fn orphan(who: Who, task: Uuid, at: Duration) -> Self {
        Self { who, task, lease: None, at }
    }
}

impl Incarnation {
    pub(super) fn new(
        node: usize,
        crash: CancellationToken,
        shutdown: Shutdown,
        records: TaskRecords,
    ) -> Self {
        let known = BTreeMap::new();
        Self { node, crash, shutdown, records, stopped: None, killed: None, gone: None, leases: 0, known }
    }

    /// Whether it had the time to keep or give back a lease that expired then; `grace` is what its stop may take.
    pub(super) fn could_keep(&self, at: Duration, grace: Duration, slow_to_end: bool) -> bool {
        // What a stop can't give back in time is left.
        let cut_off = grace.saturating_sub(Duration::from_millis(600));
        let was_cut_off = |gone: Duration| self.stopped.is_some_and(|stopped| gone >= stopped + cut_off);
        self.killed.is_none_or(|killed| killed > at)
            && match self.gone {
                None => !self.crash.is_cancelled(),
                Some((gone, Gone::Crashed)) => gone > at,
                Some((gone, Gone::Returned)) => gone > at || !(slow_to_end && was_cut_off(gone)),
            }
    }
}
