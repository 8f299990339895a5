//! Jobs, tasks, leases and receipts, as DMS keeps them.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::state::task_records::{Failure, HeartbeatRecord, LeaseRecord, TaskState, TaskStatus};

/// Which machines may be given a task (protocol 3.7).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TaskMode {
    /// Nodes.
    #[default]
    Public,
    /// Robots that are assigned to the domain of the task.
    Dedicated,
}

#[derive(Debug)]
pub(crate) struct JobEntry {
    pub(crate) id: Uuid,
    pub(crate) label: String,
    pub(crate) domain_id: Uuid,
    pub(crate) priority: i64,
    pub(crate) meta: Value,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) canceled: bool,
    pub(crate) tasks: Vec<Uuid>,
    /// Position in the order of submission.
    pub(crate) seq: u64,
}

#[derive(Debug)]
pub(crate) struct TaskEntry {
    pub(crate) id: Uuid,
    pub(crate) job_id: Uuid,
    pub(crate) domain_id: Uuid,
    pub(crate) label: String,
    pub(crate) stage: String,
    pub(crate) capability: String,
    pub(crate) capability_filters: Value,
    pub(crate) mode: TaskMode,
    /// The priority of the job and of the task, added up.
    pub(crate) priority: i64,
    pub(crate) inputs_cids: Vec<String>,
    pub(crate) outputs_prefix: Option<String>,
    pub(crate) meta: Value,
    pub(crate) max_attempts: u32,
    /// The tasks that must be completed first.
    pub(crate) deps: Vec<Uuid>,
    /// Position in the order of submission.
    pub(crate) seq: u64,

    pub(crate) status: TaskStatus,
    pub(crate) attempts: u32,
    /// The current lease, which may have expired since the last sweep. A cancelled task keeps its lease until
    /// that expires, so that the machine learns of the cancellation from its next heartbeat.
    pub(crate) lease: Option<LeaseEntry>,
    pub(crate) leases: Vec<LeaseRecord>,
    pub(crate) expired_leases: u32,
    pub(crate) progress: Value,
    pub(crate) events: Vec<Value>,
    pub(crate) heartbeats: Vec<HeartbeatRecord>,
    pub(crate) completions: Vec<Value>,
    pub(crate) failures: Vec<Failure>,
    /// When the task was completed, and paid for.
    pub(crate) debited_at: Option<String>,
}

impl TaskEntry {
    /// The lease, unless it has expired.
    pub(crate) fn live_lease(&self) -> Option<&LeaseEntry> {
        self.lease.as_ref().filter(|lease| lease.expires > Instant::now())
    }

    /// Whether this machine holds the lease and may complete or fail the task.
    pub(crate) fn is_leased_to(&self, machine: Uuid) -> bool {
        matches!(self.status, TaskStatus::Leased | TaskStatus::Running)
            && self.live_lease().is_some_and(|lease| lease.machine == machine)
    }

    /// What tests see of the task now.
    pub(crate) fn snapshot(&self, deps_remaining: usize) -> TaskState {
        TaskState {
            id: self.id,
            job_id: self.job_id,
            domain_id: self.domain_id,
            label: self.label.clone(),
            stage: self.stage.clone(),
            capability: self.capability.clone(),
            status: self.status,
            attempts: self.attempts,
            max_attempts: self.max_attempts,
            deps_remaining,
            leases: self.leases.clone(),
            expired_leases: self.expired_leases,
            leased_by: self.live_lease().map(|lease| lease.machine),
            progress: self.progress.clone(),
            events: self.events.clone(),
            heartbeats: self.heartbeats.len(),
            completions: self.completions.clone(),
            failures: self.failures.clone(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct LeaseEntry {
    pub(crate) machine: Uuid,
    pub(crate) expires: Instant,
    /// The current task token.
    pub(crate) token: String,
    pub(crate) token_expires: Instant,
}

/// The record of a task that ended (protocol 3.6).
#[derive(Debug)]
pub(crate) struct Receipt {
    pub(crate) id: Uuid,
    pub(crate) job_id: Uuid,
    pub(crate) task_id: Uuid,
    /// The machine that held the lease at the end, if any did.
    pub(crate) node_id: Option<Uuid>,
    /// Ids of the outputs; empty unless the task was completed.
    pub(crate) outputs: Vec<String>,
    pub(crate) meta: Value,
    pub(crate) created: Instant,
}

impl Receipt {
    pub(crate) fn new(
        job_id: Uuid,
        task_id: Uuid,
        node_id: Option<Uuid>,
        outputs: Vec<String>,
        meta: Value,
    ) -> Self {
        Self { id: Uuid::new_v4(), job_id, task_id, node_id, outputs, meta, created: Instant::now() }
    }
}
