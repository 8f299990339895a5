//! The bodies that end a task (protocol 3.5 and 3.6).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use posemesh_runner_api::ports::Artifact;
use posemesh_runner_api::task::Task;

/// Bytes of a reason at most.
pub const LONGEST_REASON: usize = 2048;

/// The body of `complete`. Artifacts stand in the order given; of several at one logical path the last
/// counts.
pub fn complete_body(task: &Task, domain_id: Option<Uuid>, artifacts: &[Artifact]) -> Value {
    let reported = last_of_each_path(artifacts);
    let output_cids: Vec<&str> = reported.iter().filter_map(|artifact| artifact.id.as_deref()).collect();
    json!({ "output_cids": output_cids, "meta": base(task, domain_id, &reported) })
}

/// The `details` of `fail` for a task that has run: what `complete` would have told, and the fields of
/// `more` beside it. `more` is an object; its `job` and `artifacts` are not taken.
pub fn fail_details(task: &Task, domain_id: Option<Uuid>, artifacts: &[Artifact], more: &Value) -> Value {
    let mut details = more.as_object().cloned().unwrap_or_default();
    details.extend(base(task, domain_id, &last_of_each_path(artifacts)));
    Value::Object(details)
}

/// Where in its set-up a task failed (protocol 3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupStage {
    /// The lease's capability is not among the node's.
    StartSession,
    /// The first heartbeat failed.
    InitialHeartbeat,
    /// The lease does not say where the data is.
    BuildPorts,
}

impl SetupStage {
    /// As the wire has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StartSession => "start_session",
            Self::InitialHeartbeat => "initial_heartbeat",
            Self::BuildPorts => "build_ports",
        }
    }
}

/// The `reason` of a task whose set-up failed.
pub const SETUP_FAILED: &str = "node_setup_failed";

/// The `details` of a task whose set-up failed.
pub fn setup_details(stage: SetupStage, error: &str) -> Value {
    json!({ "stage": stage.as_str(), "error": cut(error, LONGEST_REASON) })
}

/// The `reason` of a task whose runner failed, with the cause chain in one line.
pub fn runner_failed(reason: &str) -> String {
    format!("runner failed: {reason}")
}

/// The body of `fail`; a reason that is too long is cut.
pub(super) fn fail_body(reason: &str, details: &Value) -> Value {
    json!({ "reason": cut(reason, LONGEST_REASON), "details": details })
}

fn base(task: &Task, domain_id: Option<Uuid>, artifacts: &[&Artifact]) -> Map<String, Value> {
    let job = json!({
        "task_id": task.id,
        "job_id": task.job_id,
        "domain_id": domain_id,
        "capability": task.capability,
    });
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
    Map::from_iter([("job".to_owned(), job), ("artifacts".to_owned(), Value::Array(artifacts))])
}

fn last_of_each_path(artifacts: &[Artifact]) -> Vec<&Artifact> {
    let mut seen = BTreeSet::new();
    let mut last: Vec<&Artifact> =
        artifacts.iter().rev().filter(|artifact| seen.insert(artifact.logical_path.as_str())).collect();
    last.reverse();
    last
}

fn cut(text: &str, longest: usize) -> &str {
    text.get(..text.floor_char_boundary(longest)).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn artifact(path: &str, id: Option<&str>) -> Artifact {
        Artifact {
            logical_path: path.into(),
            name: format!("n_{path}"),
            data_type: "ply".into(),
            id: id.map(Into::into),
            size: 1,
            sha256: String::new(),
        }
    }

    #[test]
    fn complete_tells_each_path_once_in_order() {
        let task = Task::new(Uuid::nil(), "/c/v1");
        let artifacts = [
            artifact("a", Some("1")),
            artifact("b", Some("2")),
            artifact("a", Some("3")),
            artifact("c", None),
        ];
        let body = complete_body(&task, Some(Uuid::nil()), &artifacts);
        let nil = Uuid::nil().to_string();
        assert_eq!(
            body,
            json!({
                "output_cids": ["2", "3"],
                "meta": {
                    "job": {"task_id": nil, "job_id": null, "domain_id": nil, "capability": "/c/v1"},
                    "artifacts": [
                        {"logical_path": "b", "name": "n_b", "data_type": "ply", "id": "2"},
                        {"logical_path": "a", "name": "n_a", "data_type": "ply", "id": "3"},
                        {"logical_path": "c", "name": "n_c", "data_type": "ply", "id": null},
                    ],
                },
            })
        );
    }

    #[test]
    fn failure_details_hold_the_same_and_more() {
        let task = Task::new(Uuid::nil(), "/c/v1");
        let more = json!({"kind": "trap", "job": "overridden"});
        let details = fail_details(&task, None, &[artifact("a", Some("1"))], &more);
        let complete = complete_body(&task, None, &[artifact("a", Some("1"))]);
        assert_eq!(details["kind"], "trap");
        assert_eq!(details["job"], complete["meta"]["job"]);
        assert_eq!(details["artifacts"], complete["meta"]["artifacts"]);
        assert_eq!(details["job"]["domain_id"], Value::Null);
    }

    #[test]
    fn long_reasons_are_cut_between_characters() {
        let body = fail_body(&"é".repeat(LONGEST_REASON), &Value::Null);
        assert_eq!(body["reason"].as_str().unwrap().len(), LONGEST_REASON);
        let details = setup_details(SetupStage::BuildPorts, "no URL");
        assert_eq!(details, json!({"stage": "build_ports", "error": "no URL"}));
    }
}
