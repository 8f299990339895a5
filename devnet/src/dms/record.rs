//! What is told of tasks inside the process.

use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

/// How far a task has come (protocol 3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// Waits for its dependencies or for a worker.
    Queued,
    /// Given to a worker that has not sent a heartbeat yet.
    Leased,
    /// Given to a worker that has.
    Running,
    /// Done.
    Completed,
    /// All attempts were used up.
    Failed,
    /// Its job was cancelled, or what it depends on did not succeed.
    Canceled,
}

impl TaskStatus {
    /// Whether nothing more will happen to the task.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled)
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

/// A `fail` that was accepted (protocol 3.6).
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// `reason`.
    pub reason: String,
    /// `details`.
    pub details: Value,
}

impl Failure {
    pub(crate) fn to_json(&self) -> Value {
        json!({"reason": self.reason, "details": self.details})
    }
}

/// A lease that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRecord {
    /// When.
    pub at: Instant,
    /// To which node or robot.
    pub worker: Uuid,
}

/// A heartbeat that arrived for a task (protocol 3.4).
#[derive(Debug, Clone)]
pub struct HeartbeatRecord {
    /// When.
    pub at: Instant,
    /// The same by the servers' clock.
    pub time: OffsetDateTime,
    /// `progress`.
    pub progress: Value,
    /// `events`.
    pub events: Vec<Value>,
    /// Whether the sender held the lease; otherwise it was answered 409.
    pub accepted: bool,
    /// Whether the answer asked to cancel.
    pub cancel: bool,
}

/// A task as it stands.
#[derive(Debug, Clone)]
pub struct TaskState {
    /// Its id.
    pub id: Uuid,
    /// Its job.
    pub job_id: Uuid,
    /// The domain of its data.
    pub domain_id: Uuid,
    /// `label`.
    pub label: String,
    /// `stage`.
    pub stage: String,
    /// `capability`.
    pub capability: String,
    /// How far it has come.
    pub status: TaskStatus,
    /// How often it was leased.
    pub attempts: u32,
    /// How often it may be.
    pub max_attempts: u32,
    /// How many dependencies are still to be completed.
    pub deps_remaining: usize,
    /// The leases given so far, in order.
    pub leases: Vec<LeaseRecord>,
    /// How many of them were found expired.
    pub expired_leases: u32,
    /// Who holds an unexpired lease on it.
    pub leased_by: Option<Uuid>,
    /// The last `progress`.
    pub progress: Value,
    /// All `events` in the order of arrival; the oldest go when there are too many.
    pub events: Vec<Value>,
    /// How many heartbeats arrived.
    pub heartbeats: usize,
    /// The bodies of accepted `complete` calls.
    pub completions: Vec<Value>,
    /// The accepted `fail` calls.
    pub failures: Vec<Failure>,
}

/// A job that was submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmittedJob {
    /// Its id.
    pub id: Uuid,
    /// Its tasks, in the order in which they were given.
    pub tasks: Vec<Uuid>,
}
