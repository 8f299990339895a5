//! Handing tasks out, and taking them back when their lease has expired (protocol 3.2, 3.3).

use std::time::Instant;

use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::State;
use super::model::{Lease, Mode, Task};
use super::record::{LeaseRecord, TaskStatus};
use super::wire;
use crate::dds::{Worker, WorkerKind};
use crate::reply::{Answer, Refusal, empty, json};
use crate::state::{Call, Core};
use crate::tokens::{Grant, Issued};

/// Who sends a request, as DMS sees it.
pub(crate) fn worker(core: &Core, call: &Call) -> Result<Worker, Refusal> {
    let grant = core.grant(&call.headers)?;
    core.dds.worker(grant).ok_or_else(|| Refusal::unauthorized("not a token of a registered node"))
}

pub(crate) fn lease(core: &Core, call: &Call) -> Answer {
    let worker = worker(core, call)?;
    let answer = {
        let mut state = core.dms.state();
        state.polls.insert(worker.id, Instant::now());
        let held = state.tasks.values().filter(|task| task.is_worked_on_by(worker.id)).count();
        if held >= core.config.leases_per_node.max(1) {
            return Err(Refusal::conflict("the node holds a lease already"));
        }
        choose(&state, &worker, call).and_then(|id| give(core, &mut state, &worker, id))
    };
    let Some(answer) = answer else { return empty(StatusCode::NO_CONTENT) };
    core.changed();
    json(&answer)
}

/// The task whose turn it is: dedicated ones first for those who may have them, then by priority, then
/// by age.
fn choose(state: &State, worker: &Worker, call: &Call) -> Option<Uuid> {
    let same = |name: &str, id: Uuid| call.query.get(name).is_none_or(|text| Uuid::parse_str(text) == Ok(id));
    let open = state.tasks.values().filter(|task| {
        task.status == TaskStatus::Queued
            && worker.capabilities.contains(&task.capability)
            && call.query.get("capability").is_none_or(|wanted| wanted == task.capability)
            && same("job_id", task.job_id)
            && same("domain_id", task.domain_id)
            && is_for(task, worker)
            && state.deps_remaining(task) == 0
    });
    open.min_by_key(|task| (task.mode == Mode::Public, std::cmp::Reverse(task.priority), task.seq))
        .map(|task| task.id)
}

/// Who gets what (protocol 3.7). All jobs of a devnet are of the one organisation.
fn is_for(task: &Task, worker: &Worker) -> bool {
    match (worker.kind, task.mode) {
        (WorkerKind::Public | WorkerKind::Dedicated, Mode::Public) => true,
        (WorkerKind::Dedicated, Mode::Dedicated) => true,
        (WorkerKind::Robot { domain }, Mode::Dedicated) => domain == Some(task.domain_id),
        (WorkerKind::Public, Mode::Dedicated) | (WorkerKind::Robot { .. }, Mode::Public) => false,
    }
}

fn give(core: &Core, state: &mut State, worker: &Worker, id: Uuid) -> Option<Value> {
    let now = Instant::now();
    let task = state.tasks.get_mut(&id)?;
    let Issued { token, expires: token_expires } = task_token(core, task, worker);
    task.status = TaskStatus::Leased;
    task.attempts += 1;
    let expires = now + core.config.lease_ttl;
    task.lease = Some(Lease { worker: worker.id, expires, token, token_expires });
    task.leases.push(LeaseRecord { at: now, worker: worker.id });
    let task = state.tasks.get(&id)?;
    let mut envelope = wire::session(core, task, true);
    if let Value::Object(fields) = &mut envelope {
        fields.insert("task".into(), wire::task(core, state, task));
    }
    Some(envelope)
}

/// A new token for the domain of a task.
pub(crate) fn task_token(core: &Core, task: &Task, worker: &Worker) -> Issued {
    let claims = json!({
        "iss": "dds",
        "sub": worker.id,
        "aud": ["domain-server"],
        "domain_id": task.domain_id,
        "task_id": task.id,
        "organization_id": worker.organization,
        "permissions": ["domain-data:rw"],
    });
    let grant = Grant::Task { task: task.id, domain: task.domain_id };
    core.tokens.issue(&core.clock, grant, core.config.task_token_ttl, claims)
}

/// Takes back tasks whose lease has expired; true if there were any.
pub(crate) fn sweep(core: &Core) -> bool {
    let mut state = core.dms.state();
    let expired: Vec<(Uuid, bool)> = state
        .tasks
        .values()
        .filter(|task| task.lease.is_some() && task.live_lease().is_none())
        .map(|task| (task.id, task.status.is_end()))
        .collect();
    let mut retired = Vec::new();
    for (id, ended) in &expired {
        if *ended {
            // Cancelled under its worker: there is nothing to requeue, only the lease goes.
            let lease = state.tasks.get_mut(id).and_then(|task| task.lease.take());
            retired.extend(lease.map(|lease| lease.token));
        } else {
            retired.extend(state.end_attempt(*id, None));
        }
    }
    drop(state);
    for token in &retired {
        core.tokens.retire(token, core.config.task_token_overlap);
    }
    !expired.is_empty()
}
