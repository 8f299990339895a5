//! What is reported when a task ends: the bodies of `complete` and `fail` (protocol 3.5, 3.6).

use std::collections::BTreeSet;

use posemesh_runner_api::failure::{Blame, RunFailure};
use posemesh_runner_api::ports::Artifact;
use posemesh_runner_api::task::Task;
use posemesh_text::shorten;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The most bytes of a `reason`, and of the error in the details of a failed set-up (protocol 3.6).
const MAX_REASON: usize = 2048;
/// The most bytes of the reason when the server takes no more.
const SMALLEST_REASON: usize = 128;
/// The most bytes of JSON that a runner's failure may add to `details` (protocol 3.6).
const MAX_FAILURE_DETAILS: usize = 64 << 10;

/// The report that ends a task; serialises to the body of the request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum FinalReport {
    /// `complete`, with its body.
    Complete(Value),
    /// `fail`.
    Fail {
        /// A stable word, or a sentence of at most [`MAX_REASON`] bytes.
        reason: String,
        /// Which task it was, what it stored, and what is known of the failure.
        details: Value,
    },
}

/// Where in its set-up a task failed (protocol 3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetupStage {
    /// No live runner has the capability, or the lease can't be read.
    StartSession,
    /// The first heartbeat failed for good.
    InitialHeartbeat,
    /// The lease does not say where the data lies, or the task's directory can't be made.
    BuildPorts,
}

impl SetupStage {
    pub(crate) fn as_str(self) -> &'static str {
        // The words are part of the wire contract (protocol 3.6): spelled out, a renamed variant can't change them.
        match self {
            Self::StartSession => "start_session",
            Self::InitialHeartbeat => "initial_heartbeat",
            Self::BuildPorts => "build_ports",
        }
    }
}

impl FinalReport {
    /// `complete` or `fail`, as the protocol has it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Complete(_) => "complete",
            Self::Fail { .. } => "fail",
        }
    }

    /// The runner has done the task. Artifacts stand in the order given; of several at one logical path the
    /// last one counts.
    pub(crate) fn completed(task: &Task, artifacts: &[Artifact]) -> Self {
        let artifacts = last_of_each_path(artifacts);
        // An artifact may be stored although the server named no id for it: it stands in `artifacts` only.
        let output_cids: Vec<&str> = artifacts.iter().filter_map(|artifact| artifact.id.as_deref()).collect();
        Self::Complete(json!({ "output_cids": output_cids, "meta": job_and_artifacts(task, &artifacts) }))
    }

    /// The runner has failed, for a reason other than a shutdown of the node.
    pub(crate) fn runner_failed(task: &Task, artifacts: &[Artifact], failure: &RunFailure) -> Self {
        // The prefix keeps a runner's text apart from the node's own words, such as `node_shutdown`.
        let who = if failure.blame == Blame::Host { "node" } else { "runner" };
        let reason = format!("{who} failed: {}", failure.reason);
        Self::failed(&reason, details(task, artifacts, Some(failure)))
    }

    /// The node shuts down and releases the lease; `failure` says how the runner ended if it was started.
    pub(crate) fn node_shutdown(task: &Task, artifacts: &[Artifact], failure: Option<&RunFailure>) -> Self {
        // A bare word: giving a task back is not the runner's failure. How the runner ended is in the details.
        Self::failed("node_shutdown", details(task, artifacts, failure))
    }

    /// The process that held the lease died; this is sent by the one that came after it.
    pub(crate) fn node_crashed() -> Self {
        let details = json!({ "failure": { "kind": "host", "blame": Blame::Host } });
        Self::failed("node_crashed", details)
    }

    /// The task could not be started on this node.
    pub(crate) fn setup_failed(stage: SetupStage, error: &str) -> Self {
        // `failed` bounds the reason only, and this text may list every live capability.
        let details = json!({ "stage": stage.as_str(), "error": shorten(error, MAX_REASON) });
        Self::failed("node_setup_failed", details)
    }

    /// The server has refused `complete` for good (protocol 3.5).
    pub(crate) fn complete_refused(task: &Task, artifacts: &[Artifact], refusal: &str) -> Self {
        // No `failure` in the details: the runner has succeeded, and the refusal is the whole reason.
        Self::failed(&format!("complete was refused: {refusal}"), details(task, artifacts, None))
    }

    /// The server takes no request of the size of `complete` (protocol 3.5). Small: without the artifacts that made
    /// it large.
    pub(crate) fn complete_too_large(task: &Task, artifacts: &[Artifact], refusal: &str) -> Self {
        let details = json!({ "job": job(task), "artifact_count": last_of_each_path(artifacts).len() });
        Self::failed(&format!("complete was refused: {refusal}"), details)
    }

    /// What can be sent in place of a report that the server finds too large: of a `fail` the reason alone, then its
    /// start; none if there is nothing smaller.
    pub(crate) fn smaller(&self) -> Option<Self> {
        match self {
            // Without its artifacts it would say that the task has none.
            Self::Complete(_) => None,
            Self::Fail { reason, details } if !details.is_null() => {
                Some(Self::Fail { reason: reason.clone(), details: Value::Null })
            }
            Self::Fail { reason, .. } if reason.len() > SMALLEST_REASON => {
                let reason = shorten(reason, SMALLEST_REASON).into_owned();
                Some(Self::Fail { reason, details: Value::Null })
            }
            Self::Fail { .. } => None,
        }
    }

    /// The last part of the request's path.
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Self::Complete(_) => "complete",
            Self::Fail { .. } => "fail",
        }
    }

    fn failed(reason: &str, details: Value) -> Self {
        Self::Fail { reason: shorten(reason, MAX_REASON).into_owned(), details }
    }
}

/// The `details` of a task that was started: what `complete` would report, and the failure if there is one.
fn details(task: &Task, artifacts: &[Artifact], failure: Option<&RunFailure>) -> Value {
    let mut details = job_and_artifacts(task, &last_of_each_path(artifacts));
    if let Some(failure) = failure {
        details.insert("failure".to_owned(), failure_details(failure));
    }
    Value::Object(details)
}

fn job_and_artifacts(task: &Task, artifacts: &[&Artifact]) -> Map<String, Value> {
    let artifacts: Vec<Value> = artifacts
        .iter()
        .map(|artifact| {
            json!({
                "logical_path": artifact.logical_path,
                "name": artifact.name,
                "data_type": artifact.data_type,
                "id": artifact.id,
            })
        })
        .collect();
    Map::from_iter([("job".to_owned(), job(task)), ("artifacts".to_owned(), Value::Array(artifacts))])
}

fn job(task: &Task) -> Value {
    json!({
        "task_id": task.id,
        "job_id": task.job_id,
        "domain_id": task.domain_id,
        "capability": task.capability,
    })
}

fn last_of_each_path(artifacts: &[Artifact]) -> Vec<&Artifact> {
    let mut seen = BTreeSet::new();
    // Backwards, the first artifact met at a path is the last one stored there, and each keeps its own place.
    let mut last: Vec<&Artifact> =
        artifacts.iter().rev().filter(|artifact| seen.insert(artifact.logical_path.as_str())).collect();
    last.reverse();
    last
}

/// What the runner's host knows of the failure, with its kind.
fn failure_details(failure: &RunFailure) -> Value {
    // The kind needs an object to stand in; details of another type are kept under a name of their own.
    let mut object = match &failure.details {
        Value::Object(object) => object.clone(),
        Value::Null => Map::new(),
        other => Map::from_iter([("details".to_owned(), other.clone())]),
    };
    // Inserted last, so that no detail of the same name can pass for these.
    object.insert("kind".to_owned(), failure.kind.as_str().into());
    object.insert("blame".to_owned(), failure.blame.as_str().into());
    let object = Value::Object(object);
    // Escapes make JSON longer than its strings: only the serialised length is what the request carries.
    let bytes = object.to_string().len();
    if bytes <= MAX_FAILURE_DETAILS {
        return object;
    }
    // JSON can't be cut like text. The kind stays, since it alone says what sort of failure this was.
    json!({
        "kind": failure.kind,
        "blame": failure.blame,
        "dropped": format!("{bytes} bytes of details; {MAX_FAILURE_DETAILS} may be sent"),
    })
}

#[cfg(test)]
mod tests;
