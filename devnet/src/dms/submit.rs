//! Checks a submitted job and turns it into tasks (protocol 3.7).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::response::ApiError;
use crate::servers::Servers;
use crate::state::entries::{JobEntry, TaskEntry, TaskMode};
use crate::state::task_records::{SubmittedJob, TaskStatus};

#[derive(Debug, Deserialize)]
pub(crate) struct JobRequest {
    #[serde(default)]
    label: String,
    /// Required; a job submitted in-process gets the default domain before it comes here.
    pub(crate) domain_id: Option<Uuid>,
    #[serde(default)]
    priority: i64,
    #[serde(default = "empty_object")]
    meta: Value,
    tasks: Vec<TaskRequest>,
    #[serde(default)]
    edges: Vec<StageEdge>,
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

/// All tasks of the stage `to` depend on all tasks of the stage `from`.
#[derive(Debug, Deserialize)]
struct StageEdge {
    from: String,
    to: String,
}

fn empty_object() -> Value {
    json!({})
}

/// Queues the tasks of a job.
pub(crate) fn submit(servers: &Servers, request: JobRequest) -> Result<SubmittedJob, ApiError> {
    let domain_id = request.domain_id.ok_or_else(|| ApiError::bad_request("domain_id is missing"))?;
    if !servers.store.has_domain(domain_id) {
        return Err(ApiError::bad_request("no such domain"));
    }
    check(&request)?;
    let id = Uuid::new_v4();
    let JobRequest { label, priority, meta, tasks, edges, .. } = request;
    let tasks: Vec<(Uuid, TaskRequest)> = tasks.into_iter().map(|task| (Uuid::new_v4(), task)).collect();
    let task_ids: Vec<Uuid> = tasks.iter().map(|(task_id, _)| *task_id).collect();
    let deps: Vec<Vec<Uuid>> =
        tasks.iter().map(|(_, task)| dependencies(&tasks, &edges, &task.stage)).collect();

    // Tasks and job under one lock: a machine must not lease the first before the others are known.
    let mut state = servers.queue.state();
    for ((task_id, task), deps) in tasks.into_iter().zip(deps) {
        let entry = TaskEntry {
            id: task_id,
            job_id: id,
            domain_id,
            label: task.label,
            stage: task.stage,
            capability: task.capability,
            capability_filters: task.capability_filters,
            mode: task.mode,
            priority: task.priority.saturating_add(priority),
            inputs_cids: task.inputs_cids,
            outputs_prefix: task.outputs_prefix,
            meta: task.meta,
            max_attempts: task.max_attempts.unwrap_or(servers.config.max_attempts).max(1),
            deps,
            seq: state.next_seq(),
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
        state.tasks.insert(task_id, entry);
    }
    let created_at = servers.clock.timestamp();
    let job = JobEntry {
        id,
        label,
        domain_id,
        priority,
        meta,
        updated_at: created_at.clone(),
        created_at,
        canceled: false,
        tasks: task_ids.clone(),
        seq: state.next_seq(),
    };
    state.jobs.insert(id, job);
    drop(state);
    servers.changed();
    Ok(SubmittedJob { id, tasks: task_ids })
}

/// The tasks that the tasks of a stage depend on.
fn dependencies(tasks: &[(Uuid, TaskRequest)], edges: &[StageEdge], stage: &str) -> Vec<Uuid> {
    let before: BTreeSet<&str> =
        edges.iter().filter(|edge| edge.to == stage).map(|edge| edge.from.as_str()).collect();
    tasks.iter().filter(|(_, task)| before.contains(task.stage.as_str())).map(|(id, _)| *id).collect()
}

fn check(request: &JobRequest) -> Result<(), ApiError> {
    if request.tasks.is_empty() {
        return Err(ApiError::bad_request("a job needs tasks"));
    }
    if request.tasks.iter().any(|task| task.capability.trim().is_empty()) {
        return Err(ApiError::bad_request("a task needs a capability"));
    }
    // Edges name stages, not tasks; a stage exists by the tasks that name it.
    let stages: BTreeSet<&str> = request.tasks.iter().map(|task| task.stage.as_str()).collect();
    for stage in request.edges.iter().flat_map(|edge| [&edge.from, &edge.to]) {
        if !stages.contains(stage.as_str()) {
            return Err(ApiError::bad_request(format!("an edge names no stage of the job: {stage:?}")));
        }
    }
    if has_cycle(&stages, &request.edges) {
        return Err(ApiError::bad_request("the edges go in a circle"));
    }
    Ok(())
}

/// Removes stages without dependencies, one round after another; stages that can't be removed form a cycle.
fn has_cycle<'a>(stages: &BTreeSet<&'a str>, edges: &'a [StageEdge]) -> bool {
    let mut waiting: BTreeMap<&str, BTreeSet<&str>> =
        stages.iter().map(|stage| (*stage, BTreeSet::new())).collect();
    for edge in edges {
        waiting.entry(&edge.to).or_default().insert(&edge.from);
    }
    while !waiting.is_empty() {
        let free: Vec<&str> =
            waiting.iter().filter(|(_, from)| from.is_empty()).map(|(stage, _)| *stage).collect();
        if free.is_empty() {
            return true;
        }
        for stage in free {
            waiting.remove(stage);
            for from in waiting.values_mut() {
                from.remove(stage);
            }
        }
    }
    false
}
