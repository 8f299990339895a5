//! The job API, for applications (protocol 3.7).

use std::cmp::Reverse;

use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::dms::submit::{self, JobRequest};
use crate::dms::wire::{JobView, ReceiptView, TaskView, tasks_summary};
use crate::request::{ApiRequest, read_json};
use crate::response::{ApiError, ApiResult, empty, json};
use crate::servers::Servers;
use crate::state::entries::{JobEntry, Receipt};
use crate::state::queue::QueueState;
use crate::state::task_records::TaskStatus;

fn no_job() -> ApiError {
    ApiError::not_found("job not found")
}

pub(crate) async fn submit(servers: &Servers, request: ApiRequest) -> ApiResult {
    servers.require_app(&request.headers)?;
    let job: JobRequest = read_json(request.body).await?;
    let key = request.headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    // Not under one lock with the submission: repeats come one after the other, when an answer was lost.
    let known = key.as_ref().and_then(|key| servers.queue.state().by_idempotency_key.get(key).copied());
    let id = match known {
        Some(id) => id,
        None => submit::submit(servers, job)?.id,
    };
    if let Some(key) = key {
        servers.queue.state().by_idempotency_key.insert(key, id);
    }
    json(&json!({"job_id": id}))
}

pub(crate) fn list(servers: &Servers, request: &ApiRequest) -> ApiResult {
    servers.require_app(&request.headers)?;
    let number = |name: &str, default: usize| -> Result<usize, ApiError> {
        let parse = |text: &str| text.parse().map_err(|_| ApiError::bad_request(format!("invalid {name}")));
        request.query.get(name).map_or(Ok(default), parse)
    };
    let (limit, cursor) = (number("limit", 50)?, number("cursor", 0)?);
    if !(1..=100).contains(&limit) {
        return Err(ApiError::bad_request("invalid limit: 1 to 100"));
    }

    let state = servers.queue.state();
    let mut jobs: Vec<&JobEntry> =
        state.jobs.values().filter(|job| is_wanted(&state, job, request)).collect();
    jobs.sort_by_key(|job| Reverse(job.seq));
    let page = jobs.iter().skip(cursor).take(limit);
    let items: Vec<Value> = page
        .map(|job| {
            let view = JobView::new(servers, &state, job);
            json!({"job": view, "tasks_summary": tasks_summary(&state, job)})
        })
        .collect();
    let next = cursor.saturating_add(limit);
    let next_cursor = (next < jobs.len()).then(|| next.to_string());
    json(&json!({"items": items, "next_cursor": next_cursor}))
}

/// Whether a job passes the filters of the query.
fn is_wanted(state: &QueueState, job: &JobEntry, request: &ApiRequest) -> bool {
    let query = &request.query;
    let mut capabilities =
        query.all("capabilities").flat_map(|text| text.split(',')).filter(|text| !text.is_empty()).peekable();
    // A job has the capabilities of its tasks.
    let has = |capability: &str| state.tasks_of(job).any(|task| task.capability == capability);
    let capable = capabilities.peek().is_none()
        || match query.get("match_all_capabilities") {
            Some("true") => capabilities.all(has),
            _ => capabilities.any(has),
        };
    capable
        && query.get("domain_id").is_none_or(|id| Uuid::parse_str(id) == Ok(job.domain_id))
        && query.get("status").is_none_or(|status| status == state.job_status(job))
}

pub(crate) fn get(servers: &Servers, request: &ApiRequest) -> ApiResult {
    servers.require_app(&request.headers)?;
    let state = servers.queue.state();
    let job = request.route.uuid().and_then(|id| state.jobs.get(&id)).ok_or_else(no_job)?;
    let tasks: Vec<_> = state.tasks_of(job).map(|task| TaskView::new(servers, &state, task)).collect();
    let receipts = state.receipts.iter().filter(|receipt| receipt.job_id == job.id);
    let receipts: Vec<_> = receipts.map(|receipt| ReceiptView::new(servers, receipt)).collect();
    json(&json!({
        "job": JobView::new(servers, &state, job),
        "tasks_summary": tasks_summary(&state, job),
        "tasks": tasks,
        "receipts": receipts,
    }))
}

pub(crate) fn cancel(servers: &Servers, request: &ApiRequest) -> ApiResult {
    servers.require_app(&request.headers)?;
    let id = request.route.uuid().ok_or_else(no_job)?;
    json(&cancel_job(servers, id)?)
}

/// Cancels the tasks of a job that have not ended; returns the JSON of the answer. Machines that hold a lease
/// learn of it from their next heartbeat, until the lease expires.
pub(crate) fn cancel_job(servers: &Servers, id: Uuid) -> Result<Value, ApiError> {
    let updated_at = servers.clock.timestamp();
    {
        let mut state = servers.queue.state();
        let QueueState { jobs, tasks, receipts, .. } = &mut *state;
        let job = jobs.get_mut(&id).ok_or_else(no_job)?;
        let is_open = |id: &Uuid| tasks.get(id).is_some_and(|task| !task.status.is_end());
        let open: Vec<Uuid> = job.tasks.iter().copied().filter(is_open).collect();
        if open.is_empty() {
            return Err(ApiError::conflict("the job has ended"));
        }
        job.canceled = true;
        job.updated_at.clone_from(&updated_at);
        for task in open {
            if let Some(task) = tasks.get_mut(&task) {
                task.status = TaskStatus::Canceled;
                let machine = task.lease.as_ref().map(|lease| lease.machine);
                // A cancellation has a receipt without outputs (protocol 3.6).
                receipts.push(Receipt::new(id, task.id, machine, Vec::new(), json!({})));
            }
        }
    }
    servers.changed();
    Ok(json!({"id": id, "status": "canceled", "updated_at": updated_at}))
}

pub(crate) fn delete(servers: &Servers, request: &ApiRequest) -> ApiResult {
    servers.require_app(&request.headers)?;
    delete_job(servers, request.route.uuid().ok_or_else(no_job)?)?;
    empty(StatusCode::NO_CONTENT)
}

/// Forgets a job with its tasks and receipts.
pub(crate) fn delete_job(servers: &Servers, id: Uuid) -> Result<(), ApiError> {
    {
        let mut state = servers.queue.state();
        let job = state.jobs.get(&id).ok_or_else(no_job)?;
        if state.tasks_of(job).any(|task| task.live_lease().is_some()) {
            // Its machine would get 404 for a lease that it rightly holds.
            return Err(ApiError::conflict("a task of the job is leased; cancel it first"));
        }
        state.jobs.remove(&id);
        state.tasks.retain(|_, task| task.job_id != id);
        state.receipts.retain(|receipt| receipt.job_id != id);
        state.by_idempotency_key.retain(|_, job| *job != id);
    }
    servers.changed();
    Ok(())
}
