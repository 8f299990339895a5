//! What a worker says of a task it has leased (protocol 3.4 to 3.6).

use std::time::Instant;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::lease::{task_token, worker};
use super::model::{Receipt, Task};
use super::record::{Failure, HeartbeatRecord, TaskStatus};
use super::wire;
use crate::dds::Worker;
use crate::reply::{Answer, Refusal, empty, json, read_json};
use crate::state::{Call, Core};

fn no_task() -> Refusal {
    Refusal::not_found("task not found")
}

fn not_held() -> Refusal {
    Refusal::conflict("lease not held")
}

#[derive(Debug, Deserialize)]
struct Heartbeat {
    progress: Value,
    events: Vec<Value>,
}

pub(crate) async fn heartbeat(core: &Core, call: Call) -> Answer {
    let worker = worker(core, &call)?;
    let id = call.route.uuid().ok_or_else(no_task)?;
    let body: Heartbeat = read_json(call.body, core.config.json_max_bytes).await?;
    let renewed = {
        let mut state = core.dms.state();
        let task = state.tasks.get_mut(&id).ok_or_else(no_task)?;
        renew(core, task, &worker, body)
    };
    // Also a refused heartbeat is one that somebody may be waiting for.
    core.changed();
    let (answer, retired) = renewed?;
    if let Some(token) = retired {
        core.tokens.retire(&token, core.config.task_token_overlap);
    }
    json(&answer)
}

/// Notes a heartbeat and extends the lease. Gives the answer and the task token that was replaced.
fn renew(
    core: &Core,
    task: &mut Task,
    worker: &Worker,
    body: Heartbeat,
) -> Result<(Value, Option<String>), Refusal> {
    let now = Instant::now();
    let accepted = task.live_lease().is_some_and(|lease| lease.worker == worker.id);
    let cancel = accepted && task.status == TaskStatus::Canceled;
    task.heartbeats.push(HeartbeatRecord {
        at: now,
        time: core.clock.now(),
        progress: body.progress.clone(),
        events: body.events.clone(),
        accepted,
        cancel,
    });
    task.heartbeats.drain(..task.heartbeats.len().saturating_sub(core.config.max_records));
    if !accepted {
        return Err(not_held());
    }
    task.progress = body.progress;
    task.events.extend(body.events);
    task.events.drain(..task.events.len().saturating_sub(core.config.max_events));
    let mut retired = None;
    if !cancel {
        task.status = TaskStatus::Running;
        let worn = task
            .lease
            .as_ref()
            .is_some_and(|lease| lease.token_expires.duration_since(now) < core.config.task_token_ttl / 3);
        let issued =
            (core.config.rotate_task_token_on_heartbeat || worn).then(|| task_token(core, task, worker));
        if let Some(lease) = &mut task.lease {
            lease.expires = now + core.config.lease_ttl;
            if let Some(issued) = issued {
                retired = Some(std::mem::replace(&mut lease.token, issued.token));
                lease.token_expires = issued.expires;
            }
        }
    }
    let mut answer = wire::session(core, task, retired.is_some());
    if let Value::Object(fields) = &mut answer {
        fields.insert("task_id".into(), json!(task.id));
        fields.insert("job_id".into(), json!(task.job_id));
        fields.insert("attempts".into(), json!(task.attempts));
        fields.insert("max_attempts".into(), json!(task.max_attempts));
        // A task that is worked on waits for nothing.
        fields.insert("deps_remaining".into(), json!(0));
    }
    Ok((answer, retired))
}

pub(crate) async fn complete(core: &Core, call: Call) -> Answer {
    #[derive(Deserialize)]
    struct Outputs {
        #[serde(default)]
        output_cids: Vec<String>,
        #[serde(default)]
        meta: Value,
    }
    let worker = worker(core, &call)?;
    let id = call.route.uuid().ok_or_else(no_task)?;
    let body: Value = read_json(call.body, core.config.json_max_bytes).await?;
    let outputs = Outputs::deserialize(&body)
        .map_err(|error| Refusal::bad_request(format!("invalid completion: {error}")))?;
    let token = {
        let mut state = core.dms.state();
        let task = state.tasks.get_mut(&id).ok_or_else(no_task)?;
        if !task.is_worked_on_by(worker.id) {
            return Err(not_held());
        }
        task.status = TaskStatus::Completed;
        task.debited_at = Some(core.clock.stamp());
        task.completions.push(body);
        let lease = task.lease.take();
        let job_id = task.job_id;
        let receipt = Receipt::new(job_id, id, Some(worker.id), outputs.output_cids, outputs.meta);
        state.receipts.push(receipt);
        touch_job(core, &mut state.jobs, job_id);
        lease.map(|lease| lease.token)
    };
    ended(core, token)
}

pub(crate) async fn fail(core: &Core, call: Call) -> Answer {
    #[derive(Deserialize)]
    struct Failed {
        reason: String,
        #[serde(default)]
        details: Value,
    }
    let worker = worker(core, &call)?;
    let id = call.route.uuid().ok_or_else(no_task)?;
    let Failed { reason, details } = read_json(call.body, core.config.json_max_bytes).await?;
    let token = {
        let mut state = core.dms.state();
        let task = state.tasks.get(&id).ok_or_else(no_task)?;
        if !task.is_worked_on_by(worker.id) {
            return Err(not_held());
        }
        let job_id = task.job_id;
        let token = state.end_attempt(id, Some(Failure { reason, details }));
        touch_job(core, &mut state.jobs, job_id);
        token
    };
    ended(core, token)
}

fn touch_job(core: &Core, jobs: &mut std::collections::HashMap<Uuid, super::Job>, id: Uuid) {
    if let Some(job) = jobs.get_mut(&id) {
        job.updated_at = core.clock.stamp();
    }
}

/// The lease is over, and with it the task token.
fn ended(core: &Core, token: Option<String>) -> Answer {
    if let Some(token) = token {
        core.tokens.retire(&token, core.config.task_token_overlap);
    }
    core.changed();
    empty(StatusCode::OK)
}
