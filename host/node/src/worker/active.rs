//! The leases that are worked on.

use std::sync::Arc;

use posemesh_text::one_line;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, info_span, warn};
use uuid::Uuid;

use crate::admission::Promise;
use crate::dms::Lease;
use crate::journal::OrphanedLease;
use crate::lease::{LeaseContext, LeaseSession, SessionEnd, fail_unreadable, give_back};
use crate::records::TaskRecords;
use crate::telemetry::{self, TASK};

/// How much of a capability a log line shows, in bytes.
const MAX_CAPABILITY: usize = 300;

/// The sessions of all leases that are worked on, each in a task of its own.
pub(super) struct ActiveLeases {
    context: LeaseContext,
    records: TaskRecords,
    sessions: JoinSet<ActiveEnd>,
    /// Cloned into the task that gives leases back.
    giving_back: Arc<()>,
    /// Finds the session of a task that is leased once more. Entries of sessions that have ended are
    /// removed with the next lease.
    started: Vec<ActiveLease>,
}

/// What has ended.
#[derive(Debug)]
pub(super) enum ActiveEnd {
    /// The work on a lease.
    Session(SessionEnd),
    /// The delivery of a report for which there was no work: of a lease that could not be read, or that a dead process
    /// held.
    Report {
        /// Whether the lease came from the last request for work.
        unreadable: bool,
    },
}

/// A lease whose session was started.
struct ActiveLease {
    task_id: Uuid,
    superseded: CancellationToken,
    task: AbortHandle,
}

impl ActiveLeases {
    pub(super) fn new(context: LeaseContext, records: TaskRecords) -> Self {
        Self { context, records, sessions: JoinSet::new(), giving_back: Arc::default(), started: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Works on a lease that was requested at `sent`.
    ///
    /// If the server has leased a task anew that is still worked on here, the earlier lease was over
    /// (protocol 5, "Leased again"), and its session falls silent.
    pub(super) fn start(&mut self, lease: Lease, sent: Instant, promise: Promise) {
        let task_id = lease.task.id;
        self.supersede(task_id);
        let record = self.records.begin(&lease);
        let span = task_span(&lease);
        let session = LeaseSession::new(self.context.clone(), lease, sent);
        let superseded = session.superseded();
        let work = async move { ActiveEnd::Session(session.run(record, promise).await) };
        let task = self.sessions.spawn(work.instrument(span));
        self.started.push(ActiveLease { task_id, superseded, task });
    }

    /// Silences what still works on an earlier lease of this task.
    fn supersede(&mut self, task_id: Uuid) {
        // Where the list grows it is also cleared, so that it stays about as long as there are leases.
        self.started.retain(|earlier| !earlier.task.is_finished());
        for earlier in self.started.iter().filter(|earlier| earlier.task_id == task_id) {
            warn!(%task_id, "the server has leased a task anew that is still worked on here");
            // Cancelled and not aborted: the session still has to stop its runner and to remove its directory.
            earlier.superseded.cancel();
        }
    }

    /// Releases a lease that was granted during a shutdown, without working on it.
    pub(super) fn release(&mut self, lease: Lease, sent: Instant) {
        self.supersede(lease.task.id);
        let record = self.records.begin(&lease);
        let span = task_span(&lease);
        let session = LeaseSession::new(self.context.clone(), lease, sent);
        // Not in `started`: no poll follows during a shutdown, so nothing can supersede it.
        let work = async move { ActiveEnd::Session(session.release(record).await) };
        self.sessions.spawn(work.instrument(span));
    }

    /// Gives back the leases that a dead process of this node held (protocol 5.3).
    pub(super) fn give_back(&mut self, orphans: Vec<OrphanedLease>) {
        if orphans.is_empty() {
            return;
        }
        let (context, holder) = (self.context.clone(), self.giving_back.clone());
        self.sessions.spawn(async move {
            give_back(&context, orphans).await;
            drop(holder);
            ActiveEnd::Report { unreadable: false }
        });
    }

    /// Whether leases of a dead process are being given back. No lease is asked for meanwhile: it could be on a task
    /// that is about to be failed.
    pub(super) fn is_giving_back(&self) -> bool {
        Arc::strong_count(&self.giving_back) > 1
    }

    /// Fails the task of a lease that can't be read.
    pub(super) fn fail_unreadable(&mut self, task_id: Uuid, error: String) {
        self.supersede(task_id);
        // Before the task: a stop may end it before it has begun.
        let (context, lease) = (self.context.clone(), self.records.begin_unreadable(task_id));
        let superseded = CancellationToken::new();
        let silent = superseded.clone();
        // Beside the sessions, so that it takes a slot and a shutdown waits for it.
        let task = self.sessions.spawn(async move {
            lease.end(fail_unreadable(&context, task_id, &error, &silent).await);
            ActiveEnd::Report { unreadable: true }
        });
        self.started.push(ActiveLease { task_id, superseded, task });
    }

    /// Waits until a session ends; none if there is no session.
    pub(super) async fn next_end(&mut self) -> Option<Result<ActiveEnd, JoinError>> {
        self.sessions.join_next().await
    }

    /// Asks all runners to stop; what they have not finished is failed with `node_shutdown`, all of it by `end`.
    pub(super) fn release_all(&self, end: Instant) {
        self.context.release.give(end);
    }

    pub(super) fn are_released(&self) -> bool {
        self.context.release.is_given()
    }

    /// Drops all sessions. Their leases expire at the server.
    pub(super) async fn abort(&mut self) {
        self.sessions.shutdown().await;
    }
}

/// The fields that every log line about a task has (protocol 8.1).
fn task_span(lease: &Lease) -> Span {
    let task = &lease.task;
    // An id that the lease lacks stays out of the log lines: `Empty` prints nothing until it is recorded.
    let span = info_span!(
        TASK,
        task_id = %task.id,
        job_id = tracing::field::Empty,
        // In each line: a lease may have one of megabytes.
        capability = one_line(&task.capability, MAX_CAPABILITY),
        domain_id = tracing::field::Empty,
    );
    telemetry::adopt(&span, lease.traceparent.as_deref());
    if let Some(job_id) = task.job_id {
        span.record("job_id", tracing::field::display(job_id));
    }
    if let Some(domain_id) = task.domain_id {
        span.record("domain_id", tracing::field::display(domain_id));
    }
    span
}
