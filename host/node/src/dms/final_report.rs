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
    fn as_str(self) -> &'static str {
        // The words are part of the wire contract (protocol 3.6): spelled out, a renamed variant can't change them.
        match self {
            Self::StartSession => "start_session",
            Self::InitialHeartbeat => "initial_heartbeat",
            Self::BuildPorts => "build_ports",
        }
    }
}

impl FinalReport {
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
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use posemesh_runner_api::failure::FailureKind;
    use uuid::Uuid;

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

    fn failed(report: FinalReport) -> (String, Value) {
        let FinalReport::Fail { reason, details } = report else { panic!("{report:?} is no fail") };
        (reason, details)
    }

    #[test]
    fn complete_reports_each_path_once_in_order() {
        let mut task = Task::new(Uuid::nil(), "/c/v1");
        task.domain_id = Some(Uuid::nil());
        let artifacts = [
            artifact("a", Some("1")),
            artifact("b", Some("2")),
            artifact("a", Some("3")),
            artifact("c", None),
        ];
        let report = FinalReport::completed(&task, &artifacts);
        let nil = Uuid::nil().to_string();
        assert_eq!(
            serde_json::to_value(report).unwrap(),
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
    fn fail_reports_what_complete_would_and_the_failure() {
        let task = Task::new(Uuid::nil(), "/c/v1");
        let artifacts = [artifact("a", Some("1"))];
        let failure = RunFailure {
            details: json!({"backtrace": ["f"]}),
            ..RunFailure::new(FailureKind::Trap, "unreachable")
        };
        let (reason, details) = failed(FinalReport::runner_failed(&task, &artifacts, &failure));
        let FinalReport::Complete(complete) = FinalReport::completed(&task, &artifacts) else { panic!() };
        assert_eq!(reason, "runner failed: unreachable");
        assert_eq!(details["failure"], json!({"backtrace": ["f"], "kind": "trap", "blame": "runner"}));
        assert_eq!(details["job"], complete["meta"]["job"]);
        assert_eq!(details["artifacts"], complete["meta"]["artifacts"]);
        assert_eq!(details["job"]["job_id"], Value::Null, "absent ids are null, not missing");
        assert_eq!(details["job"]["domain_id"], Value::Null);
    }

    #[test]
    fn reasons_and_details_are_bounded_between_characters() {
        let task = Task::new(Uuid::nil(), "/c/v1");
        let failure = RunFailure {
            details: json!({"log": "x".repeat(1 << 20)}),
            ..RunFailure::new(FailureKind::Trap, "ü".repeat(MAX_REASON))
        };
        let (reason, details) = failed(FinalReport::runner_failed(&task, &[], &failure));
        assert!(reason.len() <= MAX_REASON && reason.ends_with("ü…"), "{} bytes", reason.len());
        assert_eq!(details["failure"]["kind"], "trap");
        assert!(details.to_string().len() < 1024, "oversized details are replaced by a note");
    }

    #[test]
    fn what_is_sent_in_place_of_a_report_that_is_too_large_is_ever_smaller() {
        let task = Task::new(Uuid::nil(), "/c/v1");
        let artifacts: Vec<Artifact> = (0..5000).map(|n| artifact(&format!("p{n}"), Some("1"))).collect();
        let report = FinalReport::complete_too_large(&task, &artifacts, &"ü".repeat(MAX_REASON));
        let size = |report: &FinalReport| serde_json::to_vec(report).unwrap().len();
        assert!(size(&report) < 4096, "{} bytes", size(&report));
        let smaller = report.smaller().unwrap();
        let smallest = smaller.smaller().unwrap();
        assert!(size(&report) > size(&smaller) && size(&smaller) > size(&smallest));
        assert!(size(&smallest) < 200, "{} bytes", size(&smallest));
        assert_eq!(smallest.smaller(), None);
        let (reason, details) = failed(smallest);
        assert!(reason.starts_with("complete was refused: ") && details.is_null(), "{reason}");
        assert_eq!(FinalReport::completed(&task, &artifacts).smaller(), None);
    }

    #[test]
    fn a_failed_set_up_names_its_stage_and_a_bounded_error() {
        let report = FinalReport::setup_failed(SetupStage::BuildPorts, "no URL");
        let details = json!({"stage": "build_ports", "error": "no URL"});
        assert_eq!(
            serde_json::to_value(report).unwrap(),
            json!({"reason": "node_setup_failed", "details": details})
        );
        let (_, details) =
            failed(FinalReport::setup_failed(SetupStage::StartSession, &"é".repeat(MAX_REASON)));
        let error = details["error"].as_str().unwrap();
        assert!(error.len() <= MAX_REASON && error.ends_with("é…"), "{} bytes", error.len());
    }
}
