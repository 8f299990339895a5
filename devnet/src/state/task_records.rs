//! Jobs and tasks, as tests see them.

use std::time::Instant;

use serde::{Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

/// The status of a task (protocol 3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskStatus {
    /// Waiting for its dependencies or for a machine.
    Queued,
    /// Leased to a machine that has not sent a heartbeat yet.
    Leased,
    /// Leased to a machine that has sent a heartbeat.
    Running,
    /// Completed by a machine.
    Completed,
    /// All attempts failed.
    Failed,
    /// Its job was cancelled, or a task that it depends on failed or was cancelled.
    Canceled,
}

impl TaskStatus {
    /// Whether the task has ended.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled)
    }

    /// The word that stands for the status in JSON.
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

impl Serialize for TaskStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// An accepted `fail` call (protocol 3.6).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failure {
    /// `reason` as sent.
    pub reason: String,
    /// `details` as sent.
    pub details: Value,
}

/// A lease that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRecord {
    /// When it was granted.
    pub at: Instant,
    /// The node or robot that holds it.
    pub machine: Uuid,
}

/// A heartbeat that arrived for a task (protocol 3.4).
#[derive(Debug, Clone)]
pub struct HeartbeatRecord {
    /// When it arrived.
    pub at: Instant,
    /// `progress` as sent.
    pub progress: Value,
    /// `events` as sent.
    pub events: Vec<Value>,
    /// Whether the sender held the lease; if not, the answer was 409.
    pub accepted: bool,
    /// Whether the answer told the machine to cancel.
    pub cancel: bool,
}

/// A task at one moment.
#[derive(Debug, Clone)]
pub struct TaskState {
    /// Id of the task.
    pub id: Uuid,
    /// Id of the job.
    pub job_id: Uuid,
    /// Domain of the inputs and outputs.
    pub domain_id: Uuid,
    /// `label` as submitted.
    pub label: String,
    /// `stage` as submitted.
    pub stage: String,
    /// `capability` as submitted.
    pub capability: String,
    /// Current status.
    pub status: TaskStatus,
    /// How often the task was leased.
    pub attempts: u32,
    /// How often the task may be leased.
    pub max_attempts: u32,
    /// Dependencies that are not completed yet.
    pub deps_remaining: usize,
    /// All leases so far, in order.
    pub leases: Vec<LeaseRecord>,
    /// How many of those leases expired.
    pub expired_leases: u32,
    /// The node or robot that holds an unexpired lease now.
    pub leased_by: Option<Uuid>,
    /// `progress` of the last heartbeat; null before that.
    pub progress: Value,
    /// `events` of all heartbeats in the order of arrival; the oldest are dropped when there are too many.
    pub events: Vec<Value>,
    /// Number of heartbeats that arrived, accepted or not.
    pub heartbeats: usize,
    /// Bodies of the accepted `complete` calls.
    pub completions: Vec<Value>,
    /// The accepted `fail` calls.
    pub failures: Vec<Failure>,
}

/// A job that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmittedJob {
    /// Id of the job.
    pub id: Uuid,
    /// Ids of the tasks, in the order in which they were submitted.
    pub tasks: Vec<Uuid>,
}
