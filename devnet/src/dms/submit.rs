//! What a job may look like, and how it becomes tasks (protocol 3.7).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::model::{Job, Mode, Task};
use super::record::{SubmittedJob, TaskStatus};
use crate::reply::Refusal;
use crate::state::Core;

#[derive(Debug, Deserialize)]
pub(crate) struct JobRequest {
    #[serde(default)]
    label: String,
    pub(crate) domain_id: Option<Uuid>,
    #[serde(default)]
    priority: i64,
    #[serde(default = "empty_object")]
    meta: Value,
    tasks: Vec<TaskRequest>,
    #[serde(default)]
    edges: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct TaskRequest {
    #[serde(default)]
    label: String,
    #[serde(default)]
    stage: String,
    capability: String,
    #[serde(default)]
    mode: TaskMode,
    #[serde(default = "empty_object")]
    capability_filters: Value,
    #[serde(default)]
    priority: i64,
    #[serde(default)]
    inputs_cids: Vec<String>,
    #[serde(default)]
    outputs_prefix: Option<String>,
    #[serde(default = "empty_object")]
    meta: Value,
    #[serde(default)]
    max_attempts: Option<u32>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TaskMode {
    #[default]
    Public,
    Dedicated,
}

/// Tasks of the stage `to` wait for those of the stage `from`.
#[derive(Debug, Deserialize)]
struct Edge {
    from: String,
    to: String,
}

fn empty_object() -> Value {
    json!({})
}

/// Takes a job up.
pub(crate) fn submit(core: &Core, request: JobRequest) -> Result<SubmittedJob, Refusal> {
    let domain_id = request.domain_id.ok_or_else(|| Refusal::bad_request("domain_id is missing"))?;
    if !core.store.has_domain(domain_id) {
        return Err(Refusal::bad_request("no such domain"));
    }
    check(&request)?;
    let id = Uuid::new_v4();
    let mut state = core.dms.state();
    if core.config.require_polled_worker && state.polls.is_empty() {
        return Err(Refusal::bad_request("no eligible worker"));
    }
    let named: Vec<(Uuid, TaskRequest)> =
        request.tasks.into_iter().map(|task| (Uuid::new_v4(), task)).collect();
    let tasks: Vec<Uuid> = named.iter().map(|(task, _)| *task).collect();
    let deps_of = |stage: &str| -> Vec<Uuid> {
        let before: BTreeSet<&str> =
            request.edges.iter().filter(|edge| edge.to == stage).map(|edge| edge.from.as_str()).collect();
        let waits_for = named.iter().filter(|(_, other)| before.contains(other.stage.as_str()));
        waits_for.map(|(task, _)| *task).collect()
    };
    let deps: Vec<Vec<Uuid>> = named.iter().map(|(_, task)| deps_of(&task.stage)).collect();
    for ((task_id, task), deps) in named.into_iter().zip(deps) {
        let seq = state.next();
        let made = Task {
            id: task_id,
            job_id: id,
            domain_id,
            label: task.label,
            stage: task.stage,
            capability: task.capability,
            capability_filters: task.capability_filters,
            mode: match task.mode {
                TaskMode::Public => Mode::Public,
                TaskMode::Dedicated => Mode::Dedicated,
            },
            priority: task.priority.saturating_add(request.priority),
            inputs_cids: task.inputs_cids,
            outputs_prefix: task.outputs_prefix,
            meta: task.meta,
            max_attempts: task.max_attempts.unwrap_or(core.config.max_attempts).max(1),
            deps,
            seq,
            status: TaskStatus::Queued,
            attempts: 0,
            lease: None,
            leases: Vec::new(),
            expired_leases: 0,
            progress: Value::Null,
            events: Vec::new(),
            heartbeats: Vec::new(),
            completions: Vec::new(),
            failures: Vec::new(),
            debited_at: None,
        };
        state.tasks.insert(task_id, made);
    }
    let (created_at, seq) = (core.clock.stamp(), state.next());
    let job = Job {
        id,
        label: request.label,
        domain_id,
        priority: request.priority,
        meta: request.meta,
        updated_at: created_at.clone(),
        created_at,
        canceled: false,
        tasks: tasks.clone(),
        seq,
    };
    state.jobs.insert(id, job);
    drop(state);
    core.changed();
    Ok(SubmittedJob { id, tasks })
}

fn check(request: &JobRequest) -> Result<(), Refusal> {
    if request.tasks.is_empty() {
        return Err(Refusal::bad_request("a job needs tasks"));
    }
    if request.tasks.iter().any(|task| task.capability.trim().is_empty()) {
        return Err(Refusal::bad_request("a task needs a capability"));
    }
    let stages: BTreeSet<&str> = request.tasks.iter().map(|task| task.stage.as_str()).collect();
    for stage in request.edges.iter().flat_map(|edge| [&edge.from, &edge.to]) {
        if !stages.contains(stage.as_str()) {
            return Err(Refusal::bad_request(format!("an edge names no stage of the job: {stage:?}")));
        }
    }
    // Take away stages that wait for nothing until none is left; those that remain wait in a circle.
    let mut waiting: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for stage in &stages {
        waiting.insert(stage, BTreeSet::new());
    }
    for edge in &request.edges {
        waiting.entry(&edge.to).or_default().insert(&edge.from);
    }
    while !waiting.is_empty() {
        let free: Vec<&str> =
            waiting.iter().filter(|(_, from)| from.is_empty()).map(|(stage, _)| *stage).collect();
        if free.is_empty() {
            return Err(Refusal::bad_request("the edges go in a circle"));
        }
        for stage in free {
            waiting.remove(stage);
            waiting.values_mut().for_each(|from| {
                from.remove(stage);
            });
        }
    }
    Ok(())
}
