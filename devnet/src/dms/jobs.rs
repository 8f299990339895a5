//! The job API, for applications (protocol 3.7).

use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::State;
use super::model::{Job, Receipt};
use super::record::TaskStatus;
use super::submit::{self, JobRequest};
use super::wire;
use crate::reply::{Answer, Refusal, empty, json, read_json};
use crate::state::{Call, Core};

pub(crate) async fn submit(core: &Core, call: Call) -> Answer {
    core.require_app(&call.headers)?;
    let request: JobRequest = read_json(call.body, core.config.json_max_bytes).await?;
    let key = call.headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let known = key.as_ref().and_then(|key| core.dms.state().by_key.get(key).copied());
    let id = match known {
        Some(id) => id,
        None => submit::submit(core, request)?.id,
    };
    if let Some(key) = key {
        core.dms.state().by_key.insert(key, id);
    }
    json(&json!({"job_id": id}))
}

fn no_job() -> Refusal {
    Refusal::not_found("job not found")
}

pub(crate) fn list(core: &Core, call: &Call) -> Answer {
    core.require_app(&call.headers)?;
    let number = |name: &str, default: usize| -> Result<usize, Refusal> {
        let parse = |text: &str| text.parse().map_err(|_| Refusal::bad_request(format!("invalid {name}")));
        call.query.get(name).map_or(Ok(default), parse)
    };
    let (limit, cursor) = (number("limit", 50)?, number("cursor", 0)?);
    if !(1..=100).contains(&limit) {
        return Err(Refusal::bad_request("invalid limit: 1 to 100"));
    }
    let capabilities: Vec<&str> = call
        .query
        .all("capabilities")
        .flat_map(|text| text.split(','))
        .filter(|text| !text.is_empty())
        .collect();
    let match_all = call.query.get("match_all_capabilities") == Some("true");

    let state = core.dms.state();
    let wanted = |job: &&Job| {
        let domain = call.query.get("domain_id").is_none_or(|id| Uuid::parse_str(id) == Ok(job.domain_id));
        let status = call.query.get("status").is_none_or(|status| status == wire::job_status(&state, job));
        let has = |capability: &&str| {
            let mut tasks = job.tasks.iter().filter_map(|id| state.tasks.get(id));
            tasks.any(|task| task.capability == *capability)
        };
        let capable = capabilities.is_empty()
            || if match_all { capabilities.iter().all(has) } else { capabilities.iter().any(has) };
        domain && status && capable
    };
    let mut jobs: Vec<&Job> = state.jobs.values().filter(wanted).collect();
    jobs.sort_by_key(|job| std::cmp::Reverse(job.seq));
    let items: Vec<Value> = jobs
        .iter()
        .skip(cursor)
        .take(limit)
        .map(|job| json!({"job": wire::job(core, &state, job), "tasks_summary": wire::summary(&state, job)}))
        .collect();
    let next = cursor.saturating_add(limit);
    let next_cursor = (next < jobs.len()).then(|| next.to_string());
    json(&json!({"items": items, "next_cursor": next_cursor}))
}

pub(crate) fn get(core: &Core, call: &Call) -> Answer {
    core.require_app(&call.headers)?;
    let state = core.dms.state();
    let job = call.route.uuid().and_then(|id| state.jobs.get(&id)).ok_or_else(no_job)?;
    let tasks = job.tasks.iter().filter_map(|id| state.tasks.get(id));
    let tasks: Vec<Value> = tasks.map(|task| wire::task(core, &state, task)).collect();
    let receipts = state.receipts.iter().filter(|receipt| receipt.job_id == job.id);
    let receipts: Vec<Value> = receipts.map(|receipt| wire::receipt(core, receipt)).collect();
    json(&json!({
        "job": wire::job(core, &state, job),
        "tasks_summary": wire::summary(&state, job),
        "tasks": tasks,
        "receipts": receipts,
    }))
}

pub(crate) fn cancel(core: &Core, call: &Call) -> Answer {
    core.require_app(&call.headers)?;
    let id = call.route.uuid().ok_or_else(no_job)?;
    json(&cancel_job(core, id)?)
}

/// Cancels what is left of a job. Workers that hold a lease are told with their next heartbeat, until
/// the lease expires.
pub(crate) fn cancel_job(core: &Core, id: Uuid) -> Result<Value, Refusal> {
    let updated_at = core.clock.stamp();
    let answer = {
        let mut state = core.dms.state();
        let State { jobs, tasks, receipts, .. } = &mut *state;
        let job = jobs.get_mut(&id).ok_or_else(no_job)?;
        let open = |id: &Uuid| tasks.get(id).is_some_and(|task| !task.status.is_end());
        let open: Vec<Uuid> = job.tasks.iter().copied().filter(open).collect();
        if open.is_empty() {
            return Err(Refusal::conflict("the job has ended"));
        }
        job.canceled = true;
        job.updated_at.clone_from(&updated_at);
        for task in open {
            if let Some(task) = tasks.get_mut(&task) {
                task.status = TaskStatus::Canceled;
                let worker = task.lease.as_ref().map(|lease| lease.worker);
                receipts.push(Receipt::new(id, task.id, worker, Vec::new(), json!({})));
            }
        }
        json!({"id": id, "status": "canceled", "updated_at": updated_at})
    };
    core.changed();
    Ok(answer)
}

pub(crate) fn delete(core: &Core, call: &Call) -> Answer {
    core.require_app(&call.headers)?;
    let id = call.route.uuid().ok_or_else(no_job)?;
    {
        let mut state = core.dms.state();
        let job = state.jobs.get(&id).ok_or_else(no_job)?;
        let tasks = || job.tasks.iter().filter_map(|id| state.tasks.get(id));
        if tasks().any(|task| task.live_lease().is_some()) {
            return Err(Refusal::conflict("a task of the job is leased; cancel it first"));
        }
        state.jobs.remove(&id);
        state.tasks.retain(|_, task| task.job_id != id);
        state.receipts.retain(|receipt| receipt.job_id != id);
        state.by_key.retain(|_, job| *job != id);
    }
    core.changed();
    empty(StatusCode::NO_CONTENT)
}
