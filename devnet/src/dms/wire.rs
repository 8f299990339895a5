//! The JSON of jobs and tasks (protocol 3.3, 3.4, 3.7).

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::servers::Servers;
use crate::state::entries::{JobEntry, Receipt, TaskEntry, TaskMode};
use crate::state::queue::QueueState;
use crate::state::task_records::TaskStatus;

/// A task in a lease envelope or an answer of the job API. Absent fields are left out rather than null.
#[derive(Debug, Serialize)]
pub(crate) struct TaskView<'a> {
    id: Uuid,
    job_id: Uuid,
    label: &'a str,
    stage: &'a str,
    capability: &'a str,
    capability_filters: &'a Value,
    inputs_cids: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs_prefix: Option<&'a str>,
    meta: Value,
    priority: i64,
    attempts: u32,
    max_attempts: u32,
    deps_remaining: usize,
    status: TaskStatus,
    mode: TaskMode,
    organization_id: Uuid,
    // Amounts are decimal text; the devnet charges nothing.
    billing_units: &'static str,
    estimated_credit_cost: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    debited_amount: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    debited_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_expires_at: Option<String>,
}

impl<'a> TaskView<'a> {
    pub(crate) fn new(servers: &Servers, state: &QueueState, task: &'a TaskEntry) -> Self {
        let lease = task.lease.as_ref();
        Self {
            id: task.id,
            job_id: task.job_id,
            label: &task.label,
            stage: &task.stage,
            capability: &task.capability,
            capability_filters: &task.capability_filters,
            inputs_cids: &task.inputs_cids,
            outputs_prefix: task.outputs_prefix.as_deref(),
            meta: meta_with_reports(task),
            priority: task.priority,
            attempts: task.attempts,
            max_attempts: task.max_attempts,
            deps_remaining: state.deps_remaining(task),
            status: task.status,
            mode: task.mode,
            organization_id: servers.registry.organization,
            billing_units: "1",
            estimated_credit_cost: "0",
            debited_amount: task.debited_at.as_ref().map(|_| "0"),
            debited_at: task.debited_at.as_deref(),
            lease_expires_at: lease.map(|lease| servers.clock.timestamp_of(lease.expires)),
        }
    }
}

/// `meta` as submitted, with what the heartbeats reported (protocol 3.4). A `meta` that is no object has no
/// place for it.
fn meta_with_reports(task: &TaskEntry) -> Value {
    let mut meta = task.meta.clone();
    if let Value::Object(fields) = &mut meta {
        if !task.progress.is_null() {
            fields.insert("progress".into(), task.progress.clone());
        }
        if !task.events.is_empty() {
            fields.insert("events".into(), json!(task.events));
        }
    }
    meta
}

/// What the lease envelope and the answer to a heartbeat have in common.
#[derive(Debug, Serialize)]
struct LeaseView<'a> {
    cancel: bool,
    status: TaskStatus,
    domain_id: Uuid,
    domain_server_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token_expires_at: Option<String>,
}

impl<'a> LeaseView<'a> {
    fn new(servers: &'a Servers, task: &'a TaskEntry, with_token: bool) -> Self {
        let lease = task.lease.as_ref();
        let token_of = lease.filter(|_| with_token);
        Self {
            cancel: task.status == TaskStatus::Canceled,
            status: task.status,
            domain_id: task.domain_id,
            domain_server_url: servers.base(),
            lease_expires_at: lease.map(|lease| servers.clock.timestamp_of(lease.expires)),
            access_token: token_of.map(|lease| lease.token.as_str()),
            access_token_expires_at: token_of.map(|lease| servers.clock.timestamp_of(lease.token_expires)),
        }
    }
}

/// The answer to `GET /tasks` (protocol 3.3).
#[derive(Debug, Serialize)]
pub(crate) struct LeaseEnvelope<'a> {
    #[serde(flatten)]
    lease: LeaseView<'a>,
    task: TaskView<'a>,
}

impl<'a> LeaseEnvelope<'a> {
    pub(crate) fn new(servers: &'a Servers, state: &QueueState, task: &'a TaskEntry) -> Self {
        Self { lease: LeaseView::new(servers, task, true), task: TaskView::new(servers, state, task) }
    }
}

/// The answer to a heartbeat (protocol 3.4).
#[derive(Debug, Serialize)]
pub(crate) struct HeartbeatResponse<'a> {
    #[serde(flatten)]
    lease: LeaseView<'a>,
    task_id: Uuid,
    job_id: Uuid,
    attempts: u32,
    max_attempts: u32,
    deps_remaining: usize,
}

impl<'a> HeartbeatResponse<'a> {
    /// The task token is part of it only if it is new.
    pub(crate) fn new(servers: &'a Servers, task: &'a TaskEntry, new_token: bool) -> Self {
        Self {
            lease: LeaseView::new(servers, task, new_token),
            task_id: task.id,
            job_id: task.job_id,
            attempts: task.attempts,
            max_attempts: task.max_attempts,
            // A task is leased only when all its dependencies are completed.
            deps_remaining: 0,
        }
    }
}

/// A job in an answer of the job API.
#[derive(Debug, Serialize)]
pub(crate) struct JobView<'a> {
    id: Uuid,
    label: &'a str,
    domain_id: Uuid,
    organization_id: Uuid,
    priority: i64,
    meta: &'a Value,
    status: &'static str,
    created_at: &'a str,
    updated_at: &'a str,
}

impl<'a> JobView<'a> {
    pub(crate) fn new(servers: &Servers, state: &QueueState, job: &'a JobEntry) -> Self {
        Self {
            id: job.id,
            label: &job.label,
            domain_id: job.domain_id,
            organization_id: servers.registry.organization,
            priority: job.priority,
            meta: &job.meta,
            status: state.job_status(job),
            created_at: &job.created_at,
            updated_at: &job.updated_at,
        }
    }
}

/// The number of a job's tasks, in total and by status.
pub(crate) fn tasks_summary(state: &QueueState, job: &JobEntry) -> Map<String, Value> {
    let all = [
        TaskStatus::Queued,
        TaskStatus::Leased,
        TaskStatus::Running,
        TaskStatus::Completed,
        TaskStatus::Failed,
        TaskStatus::Canceled,
    ];
    let mut counts = Map::new();
    counts.insert("total".into(), json!(job.tasks.len()));
    for status in all {
        let count = state.tasks_of(job).filter(|task| task.status == status).count();
        counts.insert(status.as_str().into(), json!(count));
    }
    counts
}

/// A receipt in an answer of the job API.
#[derive(Debug, Serialize)]
pub(crate) struct ReceiptView<'a> {
    id: Uuid,
    job_id: Uuid,
    task_id: Uuid,
    node_id: Option<Uuid>,
    outputs: &'a [String],
    meta: &'a Value,
    created_at: String,
}

impl<'a> ReceiptView<'a> {
    pub(crate) fn new(servers: &Servers, receipt: &'a Receipt) -> Self {
        Self {
            id: receipt.id,
            job_id: receipt.job_id,
            task_id: receipt.task_id,
            node_id: receipt.node_id,
            outputs: &receipt.outputs,
            meta: &receipt.meta,
            created_at: servers.clock.timestamp_of(receipt.created),
        }
    }
}
