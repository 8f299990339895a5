//! What a machine reports of a task that it has leased: heartbeats, completion and failure (protocol 3.4 to
//! 3.6).

use std::time::Instant;

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::dms::lease::{issue_task_token, machine};
use crate::dms::wire::HeartbeatResponse;
use crate::request::{ApiRequest, read_json};
use crate::response::{ApiError, ApiResult, empty, json};
use crate::servers::Servers;
use crate::state::entries::{Receipt, TaskEntry};
use crate::state::queue::QueueState;
use crate::state::registry::Machine;
use crate::state::task_records::{Failure, HeartbeatRecord, TaskStatus};

/// How many heartbeats of a task are kept for tests; the oldest are dropped.
const MAX_HEARTBEATS: usize = 100_000;
/// How many events of a task are kept; the oldest are dropped. The real server bounds them too.
const MAX_EVENTS: usize = 1000;

fn no_task() -> ApiError {
    ApiError::not_found("task not found")
}

fn not_held() -> ApiError {
    ApiError::conflict("lease not held")
}

/// Both fields are always sent, so a missing one is an error.
#[derive(Debug, Deserialize)]
struct HeartbeatRequest {
    progress: Value,
    events: Vec<Value>,
}

pub(crate) async fn heartbeat(servers: &Servers, request: ApiRequest) -> ApiResult {
    let machine = machine(servers, &request)?;
    let id = request.route.uuid().ok_or_else(no_task)?;
    let body: HeartbeatRequest = read_json(request.body).await?;
    let result = {
        let mut state = servers.queue.state();
        let task = state.tasks.get_mut(&id).ok_or_else(no_task)?;
        if record(task, &machine, body) { renew(servers, task, machine.id) } else { Err(not_held()) }
    };
    // A refused heartbeat is recorded too, so a test may be waiting for it.
    servers.changed();
    result
}

/// Records a heartbeat, and what it reports if its sender holds the lease; returns whether it does.
fn record(task: &mut TaskEntry, machine: &Machine, body: HeartbeatRequest) -> bool {
    // Unlike `is_leased_to`, this includes a cancelled task: the answer is how its machine learns of that.
    let accepted = task.live_lease().is_some_and(|lease| lease.machine == machine.id);
    task.heartbeats.push(HeartbeatRecord {
        at: Instant::now(),
        progress: body.progress.clone(),
        events: body.events.clone(),
        accepted,
        cancel: accepted && task.status == TaskStatus::Canceled,
    });
    drop_oldest(&mut task.heartbeats, MAX_HEARTBEATS);
    if accepted {
        task.progress = body.progress;
        task.events.extend(body.events);
        drop_oldest(&mut task.events, MAX_EVENTS);
    }
    accepted
}

fn drop_oldest<T>(list: &mut Vec<T>, max: usize) {
    list.drain(..list.len().saturating_sub(max));
}

/// Extends the lease and replaces the task token when it is time to; the lease of a cancelled task is left to
/// expire.
fn renew(servers: &Servers, task: &mut TaskEntry, machine: Uuid) -> ApiResult {
    let (config, now) = (&servers.config, Instant::now());
    let mut replaced = None;
    if task.status != TaskStatus::Canceled {
        // The first heartbeat makes a leased task a running one (protocol 3.7).
        task.status = TaskStatus::Running;
        let rotate = config.rotate_task_token_on_heartbeat
            || task
                .lease
                .as_ref()
                .is_some_and(|lease| lease.token_expires.duration_since(now) < config.task_token_ttl / 3);
        let issued = rotate.then(|| issue_task_token(servers, task, machine));
        if let Some(lease) = &mut task.lease {
            lease.expires = now + config.lease_ttl;
            if let Some(issued) = issued {
                replaced = Some(std::mem::replace(&mut lease.token, issued.token));
                lease.token_expires = issued.expires;
            }
        }
    }
    if let Some(token) = &replaced {
        servers.tokens.retire(token, config.task_token_overlap);
    }
    json(&HeartbeatResponse::new(servers, task, replaced.is_some()))
}

#[derive(Debug, Deserialize)]
struct CompleteRequest {
    #[serde(default)]
    output_cids: Vec<String>,
    #[serde(default)]
    meta: Value,
}

pub(crate) async fn complete(servers: &Servers, request: ApiRequest) -> ApiResult {
    let machine = machine(servers, &request)?;
    let id = request.route.uuid().ok_or_else(no_task)?;
    // Kept as sent for tests, with the fields that a server does not read.
    let body: Value = read_json(request.body).await?;
    let CompleteRequest { output_cids, meta } = serde_path_to_error::deserialize(&body)
        .map_err(|error| ApiError::bad_request(format!("invalid completion: {error}")))?;
    let token = {
        let mut state = servers.queue.state();
        let task = state.tasks.get_mut(&id).ok_or_else(no_task)?;
        if !task.is_leased_to(machine.id) {
            return Err(not_held());
        }
        task.status = TaskStatus::Completed;
        task.debited_at = Some(servers.clock.timestamp());
        task.completions.push(body);
        let lease = task.lease.take();
        let job_id = task.job_id;
        state.receipts.push(Receipt::new(job_id, id, Some(machine.id), output_cids, meta));
        touch_job(servers, &mut state, job_id);
        lease.map(|lease| lease.token)
    };
    end_lease(servers, token)
}

#[derive(Debug, Deserialize)]
struct FailRequest {
    reason: String,
    #[serde(default)]
    details: Value,
}

pub(crate) async fn fail(servers: &Servers, request: ApiRequest) -> ApiResult {
    let machine = machine(servers, &request)?;
    let id = request.route.uuid().ok_or_else(no_task)?;
    let FailRequest { reason, details } = read_json(request.body).await?;
    let token = {
        let mut state = servers.queue.state();
        let task = state.tasks.get(&id).ok_or_else(no_task)?;
        if !task.is_leased_to(machine.id) {
            return Err(not_held());
        }
        let job_id = task.job_id;
        let token = state.end_attempt(id, Some(Failure { reason, details }));
        touch_job(servers, &mut state, job_id);
        token
    };
    end_lease(servers, token)
}

fn touch_job(servers: &Servers, state: &mut QueueState, id: Uuid) {
    if let Some(job) = state.jobs.get_mut(&id) {
        job.updated_at = servers.clock.timestamp();
    }
}

/// Retires the task token of a lease that has ended, and answers.
fn end_lease(servers: &Servers, token: Option<String>) -> ApiResult {
    if let Some(token) = token {
        servers.tokens.retire(&token, servers.config.task_token_overlap);
    }
    servers.changed();
    empty(StatusCode::OK)
}
