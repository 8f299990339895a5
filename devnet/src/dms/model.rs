//! Jobs, tasks, leases and receipts as DMS keeps them.

use std::time::Instant;

use serde_json::Value;
use uuid::Uuid;

use super::record::{Failure, HeartbeatRecord, LeaseRecord, TaskStatus};

/// Who may take a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Public,
    Dedicated,
}

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: Uuid,
    pub(crate) label: String,
    pub(crate) domain_id: Uuid,
    pub(crate) priority: i64,
    pub(crate) meta: Value,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) canceled: bool,
    pub(crate) tasks: Vec<Uuid>,
    pub(crate) seq: u64,
}

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: Uuid,
    pub(crate) job_id: Uuid,
    pub(crate) domain_id: Uuid,
    pub(crate) label: String,
    pub(crate) stage: String,
    pub(crate) capability: String,
    pub(crate) capability_filters: Value,
    pub(crate) mode: Mode,
    pub(crate) priority: i64,
    pub(crate) inputs_cids: Vec<String>,
    pub(crate) outputs_prefix: Option<String>,
    pub(crate) meta: Value,
    pub(crate) max_attempts: u32,
    pub(crate) deps: Vec<Uuid>,
    pub(crate) seq: u64,

    pub(crate) status: TaskStatus,
    pub(crate) attempts: u32,
    /// Also of a task that was cancelled under its worker, who is yet to be told.
    pub(crate) lease: Option<Lease>,
    pub(crate) leases: Vec<LeaseRecord>,
    pub(crate) expired_leases: u32,
    pub(crate) progress: Value,
    pub(crate) events: Vec<Value>,
    pub(crate) heartbeats: Vec<HeartbeatRecord>,
    pub(crate) completions: Vec<Value>,
    pub(crate) failures: Vec<Failure>,
    pub(crate) debited_at: Option<String>,
}

impl Task {
    /// The lease, unless it has expired.
    pub(crate) fn live_lease(&self) -> Option<&Lease> {
        self.lease.as_ref().filter(|lease| lease.expires > Instant::now())
    }

    /// Whether this worker has it now and may complete or fail it.
    pub(crate) fn is_worked_on_by(&self, worker: Uuid) -> bool {
        matches!(self.status, TaskStatus::Leased | TaskStatus::Running)
            && self.live_lease().is_some_and(|lease| lease.worker == worker)
    }
}

#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) worker: Uuid,
    pub(crate) expires: Instant,
    /// The current task token.
    pub(crate) token: String,
    pub(crate) token_expires: Instant,
}

/// What remains of a task that ended.
#[derive(Debug)]
pub(crate) struct Receipt {
    pub(crate) id: Uuid,
    pub(crate) job_id: Uuid,
    pub(crate) task_id: Uuid,
    pub(crate) node_id: Option<Uuid>,
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
