//! Leases tasks to machines, and requeues them when their lease has expired (protocol 3.2, 3.3).

use std::cmp::Reverse;
use std::time::Instant;

use http::StatusCode;
use serde_json::json;
use uuid::Uuid;

use crate::dms::wire::LeaseEnvelope;
use crate::request::ApiRequest;
use crate::response::{ApiError, ApiResult, empty, json};
use crate::servers::Servers;
use crate::state::entries::{LeaseEntry, TaskEntry, TaskMode};
use crate::state::queue::QueueState;
use crate::state::registry::{Machine, MachineKind};
use crate::state::task_records::{LeaseRecord, TaskStatus};
use crate::tokens::{IssuedToken, TokenGrant};

/// The machine that sent a request.
pub(crate) fn machine(servers: &Servers, request: &ApiRequest) -> Result<Machine, ApiError> {
    let grant = servers.grant(&request.headers)?;
    servers.registry.machine(grant).ok_or_else(|| ApiError::unauthorized("not a token of a registered node"))
}

pub(crate) fn lease(servers: &Servers, request: &ApiRequest) -> ApiResult {
    let machine = machine(servers, request)?;
    let envelope = {
        // Locked from the choice to the lease, so that no two machines get the same task.
        let mut state = servers.queue.state();
        let held = state.tasks.values().filter(|task| task.is_leased_to(machine.id)).count();
        // A node has one task at a time; a test of a node that takes several raises the limit.
        if held >= servers.config.leases_per_node.max(1) {
            return Err(ApiError::conflict("the node holds a lease already"));
        }
        let Some(id) = choose(&state, &machine, request) else { return empty(StatusCode::NO_CONTENT) };
        grant(servers, &mut state, &machine, id)?
    };
    servers.changed();
    Ok(envelope)
}

/// The task to lease next: the highest priority first, then the oldest.
fn choose(state: &QueueState, machine: &Machine, request: &ApiRequest) -> Option<Uuid> {
    let matches =
        |name: &str, id: Uuid| request.query.get(name).is_none_or(|text| Uuid::parse_str(text) == Ok(id));
    let eligible = state.tasks.values().filter(|task| {
        task.status == TaskStatus::Queued
            && machine.capabilities.contains(&task.capability)
            && request.query.get("capability").is_none_or(|wanted| wanted == task.capability)
            && matches("job_id", task.job_id)
            && matches("domain_id", task.domain_id)
            && may_run(machine, task)
            && state.deps_remaining(task) == 0
    });
    eligible.min_by_key(|task| (Reverse(task.priority), task.seq)).map(|task| task.id)
}

/// Whether this kind of machine is given such tasks (protocol 1.9, 3.7).
fn may_run(machine: &Machine, task: &TaskEntry) -> bool {
    match (machine.kind, task.mode) {
        (MachineKind::Node, TaskMode::Public) => true,
        (MachineKind::Robot { domain }, TaskMode::Dedicated) => domain == task.domain_id,
        (MachineKind::Node, TaskMode::Dedicated) | (MachineKind::Robot { .. }, TaskMode::Public) => false,
    }
}

/// Leases a task; returns the envelope.
fn grant(servers: &Servers, state: &mut QueueState, machine: &Machine, id: Uuid) -> ApiResult {
    let gone = || ApiError::not_found("task not found");
    let now = Instant::now();
    let task = state.tasks.get_mut(&id).ok_or_else(gone)?;
    let IssuedToken { token, expires: token_expires } = issue_task_token(servers, task, machine.id);
    task.status = TaskStatus::Leased;
    task.attempts += 1;
    let expires = now + servers.config.lease_ttl;
    task.lease = Some(LeaseEntry { machine: machine.id, expires, token, token_expires });
    task.leases.push(LeaseRecord { at: now, machine: machine.id });
    let task = state.tasks.get(&id).ok_or_else(gone)?;
    json(&LeaseEnvelope::new(servers, state, task))
}

/// Issues a token for the domain of a task.
pub(crate) fn issue_task_token(servers: &Servers, task: &TaskEntry, machine: Uuid) -> IssuedToken {
    let claims = json!({
        "iss": "dds",
        "sub": machine,
        "aud": ["domain-server"],
        "domain_id": task.domain_id,
        "task_id": task.id,
        "organization_id": servers.registry.organization,
        "permissions": ["domain-data:rw"],
    });
    let grant = TokenGrant::Task { task: task.id, domain: task.domain_id };
    servers.tokens.issue(&servers.clock, grant, servers.config.task_token_ttl, claims)
}

/// Ends the expired leases and requeues their tasks; false if there were none.
pub(crate) fn sweep(servers: &Servers) -> bool {
    let mut state = servers.queue.state();
    let expired: Vec<(Uuid, bool)> = state
        .tasks
        .values()
        .filter(|task| task.lease.is_some() && task.live_lease().is_none())
        .map(|task| (task.id, task.status.is_end()))
        .collect();
    let mut retired = Vec::new();
    for (id, ended) in &expired {
        if *ended {
            // The task was cancelled while it was leased: there is nothing to requeue.
            let lease = state.tasks.get_mut(id).and_then(|task| task.lease.take());
            retired.extend(lease.map(|lease| lease.token));
        } else {
            retired.extend(state.end_attempt(*id, None));
        }
    }
    drop(state);
    for token in &retired {
        servers.tokens.retire(token, servers.config.task_token_overlap);
    }
    !expired.is_empty()
}
