//! How jobs and tasks look on the wire (protocol 3.3, 3.4, 3.7).

use serde_json::{Map, Value, json};

use super::State;
use super::model::{Job, Mode, Receipt, Task};
use super::record::TaskStatus;
use crate::state::Core;

/// A task as in the lease envelope. Optional fields are left out rather than null.
pub(crate) fn task(core: &Core, state: &State, task: &Task) -> Value {
    let mut meta = task.meta.clone();
    if let Value::Object(meta) = &mut meta {
        if !task.progress.is_null() {
            meta.insert("progress".into(), task.progress.clone());
        }
        if !task.events.is_empty() {
            meta.insert("events".into(), json!(task.events));
        }
    }
    let mut value = json!({
        "id": task.id,
        "job_id": task.job_id,
        "label": task.label,
        "stage": task.stage,
        "capability": task.capability,
        "capability_filters": task.capability_filters,
        "inputs_cids": task.inputs_cids,
        "meta": meta,
        "priority": task.priority,
        "attempts": task.attempts,
        "max_attempts": task.max_attempts,
        "deps_remaining": state.deps_remaining(task),
        "status": task.status.as_str(),
        "mode": match task.mode { Mode::Public => "public", Mode::Dedicated => "dedicated" },
        "organization_id": core.dds.organization,
        "billing_units": "1",
        "estimated_credit_cost": "0",
    });
    if let Value::Object(fields) = &mut value {
        put(fields, "outputs_prefix", task.outputs_prefix.clone());
        put(fields, "lease_expires_at", task.lease.as_ref().map(|lease| core.clock.stamp_of(lease.expires)));
        put(fields, "debited_amount", task.debited_at.as_ref().map(|_| "0".to_owned()));
        put(fields, "debited_at", task.debited_at.clone());
    }
    value
}

fn put(fields: &mut Map<String, Value>, name: &str, value: Option<String>) {
    if let Some(value) = value {
        fields.insert(name.into(), value.into());
    }
}

/// What the lease envelope and the answer to a heartbeat have in common. The task token is told only if
/// `with_token`.
pub(crate) fn session(core: &Core, task: &Task, with_token: bool) -> Value {
    let mut value = json!({
        "cancel": task.status == TaskStatus::Canceled,
        "status": task.status.as_str(),
        "domain_id": task.domain_id,
        "domain_server_url": core.base(),
    });
    if let (Value::Object(fields), Some(lease)) = (&mut value, &task.lease) {
        put(fields, "lease_expires_at", Some(core.clock.stamp_of(lease.expires)));
        if with_token {
            put(fields, "access_token", Some(lease.token.clone()));
            put(fields, "access_token_expires_at", Some(core.clock.stamp_of(lease.token_expires)));
        }
    }
    value
}

/// How far a job has come, which follows from its tasks.
pub(crate) fn job_status(state: &State, job: &Job) -> &'static str {
    let of_job = || job.tasks.iter().filter_map(|id| state.tasks.get(id)).map(|task| task.status);
    let any = |status| of_job().any(|other| other == status);
    if job.canceled {
        "canceled"
    } else if !of_job().all(TaskStatus::is_end) {
        if of_job().all(|status| status == TaskStatus::Queued) { "pending" } else { "running" }
    } else if any(TaskStatus::Failed) {
        "failed"
    } else if any(TaskStatus::Canceled) {
        "canceled"
    } else {
        "completed"
    }
}

pub(crate) fn job(core: &Core, state: &State, job: &Job) -> Value {
    json!({
        "id": job.id,
        "label": job.label,
        "domain_id": job.domain_id,
        "organization_id": core.dds.organization,
        "priority": job.priority,
        "meta": job.meta,
        "status": job_status(state, job),
        "created_at": job.created_at,
        "updated_at": job.updated_at,
    })
}

/// How many of a job's tasks stand where.
pub(crate) fn summary(state: &State, job: &Job) -> Value {
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
        let of_job = job.tasks.iter().filter_map(|id| state.tasks.get(id));
        let count = of_job.filter(|task| task.status == status).count();
        counts.insert(status.as_str().into(), json!(count));
    }
    Value::Object(counts)
}

pub(crate) fn receipt(core: &Core, receipt: &Receipt) -> Value {
    json!({
        "id": receipt.id,
        "job_id": receipt.job_id,
        "task_id": receipt.task_id,
        "node_id": receipt.node_id,
        "outputs": receipt.outputs,
        "meta": receipt.meta,
        "created_at": core.clock.stamp_of(receipt.created),
    })
}
