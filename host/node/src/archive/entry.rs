//! What is kept, in the form in which it is put.

use std::time::Duration;

use posemesh_text::one_line;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::records::{EndedTask, LeaseEvent, LeaseOutcome, TaskRecord};

/// The longest reason that is kept, in bytes.
const MAX_REASON: usize = 1000;

/// One thing that is kept.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Task(Box<TaskEntry>),
    Generation(Box<GenerationEntry>),
    /// A dead process held a lease on this task.
    Orphan(Uuid),
    /// This process ends.
    NodeEnded,
}

/// What is kept of a lease. Texts in it are bounded and on one line.
#[derive(Debug, Clone)]
pub(super) struct TaskEntry {
    /// Counts the leases of the process.
    pub(super) lease: u64,
    pub(super) leased_at: OffsetDateTime,
    pub(super) task: Uuid,
    pub(super) job: Option<Uuid>,
    pub(super) domain: Option<Uuid>,
    pub(super) capability: String,
    /// Name, version and generation of the runner, and the SHA-256 of its file.
    pub(super) runner: Option<String>,
    pub(super) sha256: Option<String>,
    /// How it ended; none while it is worked on.
    pub(super) end: Option<TaskEnd>,
}

/// What is kept of the end of a lease.
#[derive(Debug, Clone)]
pub(super) struct TaskEnd {
    pub(super) took_ms: u64,
    pub(super) outcome: &'static str,
    /// Of a failure: its kind, whose fault it was, and why.
    pub(super) kind: Option<&'static str>,
    pub(super) blame: Option<&'static str>,
    pub(super) reason: Option<String>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// The most memory, and the time on the processor, that its runner used.
    pub(super) memory_bytes: Option<u64>,
    pub(super) cpu_ms: Option<u64>,
}

impl From<LeaseEvent> for TaskEntry {
    fn from(event: LeaseEvent) -> Self {
        match event {
            LeaseEvent::Began(record) => Self::of(&record, None),
            LeaseEvent::Ended(ended) => {
                let EndedTask { record, outcome, kind, blame } = *ended;
                let used =
                    |limit: &str| record.usage.iter().find(|one| one.limit == limit).map(|one| one.used);
                let end = TaskEnd {
                    kind: kind.map(|kind| kind.as_str()),
                    blame: blame.map(|blame| blame.as_str()),
                    bytes_in: record.traffic.bytes_in,
                    bytes_out: record.traffic.bytes_out,
                    memory_bytes: used("memory_bytes"),
                    cpu_ms: used("cpu_time_ms"),
                    ..TaskEnd::of(&outcome, record.took)
                };
                Self::of(&record, Some(end))
            }
            LeaseEvent::Unreadable { number, task_id, leased_at, took, outcome } => Self {
                lease: number,
                leased_at,
                task: task_id,
                job: None,
                domain: None,
                capability: String::new(),
                runner: None,
                sha256: None,
                end: Some(TaskEnd::of(&outcome, took)),
            },
        }
    }
}

impl TaskEntry {
    fn of(record: &TaskRecord, end: Option<TaskEnd>) -> Self {
        Self {
            lease: record.number,
            leased_at: record.leased_at,
            task: record.task_id,
            job: record.job_id,
            domain: record.domain_id,
            capability: record.capability.clone(),
            runner: record.runner.clone(),
            sha256: record.sha256.clone(),
            end,
        }
    }
}

impl TaskEnd {
    fn of(outcome: &LeaseOutcome, took: Duration) -> Self {
        let reason = match outcome {
            LeaseOutcome::Failed { reason, .. } | LeaseOutcome::Lost { reason } => {
                Some(one_line(reason, MAX_REASON))
            }
            LeaseOutcome::Completed { .. } | LeaseOutcome::Cancelled => None,
        };
        Self {
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            outcome: outcome.word(),
            kind: None,
            blame: None,
            reason,
            bytes_in: 0,
            bytes_out: 0,
            memory_bytes: None,
            cpu_ms: None,
        }
    }
}

/// What has become of a generation, of a runner, or of the node that had them.
#[derive(Debug, Clone)]
pub(super) struct GenerationEntry {
    pub(super) at: OffsetDateTime,
    /// None if it is about all of them.
    pub(super) runner: Option<String>,
    pub(super) number: Option<u64>,
    pub(super) version: Option<String>,
    pub(super) sha256: Option<String>,
    /// A stage, `refused`, `rolled_back`, `withdrawn`, `breaker_open` and so on.
    pub(super) event: String,
    pub(super) why: Option<String>,
}

impl GenerationEntry {
    /// Of the node.
    pub(super) fn of_node(event: &str, why: String) -> Self {
        Self {
            at: OffsetDateTime::now_utc(),
            runner: None,
            number: None,
            version: None,
            sha256: None,
            event: event.to_owned(),
            why: Some(why),
        }
    }
}

/// Milliseconds since 1970.
pub(super) fn millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}
