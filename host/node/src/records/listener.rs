//! Who is told of each lease, when it begins and when it has ended.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use posemesh_runner_api::failure::{Blame, FailureKind};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::records::outcome::LeaseOutcome;
use crate::records::record::TaskRecord;

/// What has happened to a lease.
#[derive(Debug)]
pub(crate) enum LeaseEvent {
    /// It was granted.
    Began(Box<TaskRecord>),
    /// It has ended.
    Ended(Box<EndedTask>),
    /// One that could not be read has ended.
    Unreadable {
        /// Counts the leases of this process.
        number: u64,
        task_id: Uuid,
        leased_at: OffsetDateTime,
        took: Duration,
        outcome: LeaseOutcome,
    },
}

/// What a task that has ended was like.
#[derive(Debug)]
pub(crate) struct EndedTask {
    pub(crate) record: TaskRecord,
    pub(crate) outcome: LeaseOutcome,
    /// How its run failed, and whose fault it was, if it did.
    pub(crate) kind: Option<FailureKind>,
    pub(crate) blame: Option<Blame>,
}

/// Takes what happens to leases. Called without any lock; must not wait.
#[derive(Clone)]
pub(super) struct LeaseListener(Arc<dyn Fn(LeaseEvent) + Send + Sync>);

impl LeaseListener {
    pub(super) fn new(listener: impl Fn(LeaseEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    pub(super) fn tell(&self, event: LeaseEvent) {
        (self.0)(event);
    }
}

impl fmt::Debug for LeaseListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseListener")
    }
}
