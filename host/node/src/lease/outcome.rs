//! The bodies that end a lease (protocol 3.5, 3.6).

use serde_json::{Map, Value, json};

use crate::dms::outcome::{self as base, LONGEST_REASON};
use crate::lease::server::Lease;
use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::ports::Artifact;

/// The most bytes of JSON that a failure may add to `details`.
const MAX_FAILURE_DETAILS: usize = 64 << 10;

/// The reason of a `fail` for work that the node gives back.
pub const NODE_SHUTDOWN: &str = "node_shutdown";
/// The reason of a `fail` for a task that could not be started.
pub const NODE_SETUP_FAILED: &str = base::SETUP_FAILED;

/// The body of `complete`.
pub fn complete_body(lease: &Lease, artifacts: &[Artifact]) -> Value {
    base::complete_body(&lease.task, lease.domain_id, artifacts)
}

/// The `details` of a task that ran and failed: what `complete` would have told, and what the runner host
/// knows of the failure under `failure`.
pub fn fail_details(lease: &Lease, artifacts: &[Artifact], failure: Option<&RunFailure>) -> Value {
    let more = failure.map_or(Value::Null, |failure| json!({ "failure": failure_details(failure) }));
    base::fail_details(&lease.task, lease.domain_id, artifacts, &more)
}

/// The `reason` of a task whose runner failed.
pub fn runner_failed(failure: &RunFailure) -> String {
    bounded(base::runner_failed(&failure.reason))
}

/// The `details` of a task that could not be started: at which stage, and why.
pub fn setup_details(stage: &str, error: &str) -> Value {
    json!({ "stage": stage, "error": bounded(error.to_owned()) })
}

/// Cuts a text to [`LONGEST_REASON`] bytes, between characters.
pub fn bounded(mut text: String) -> String {
    const MARK: &str = "…";
    if text.len() > LONGEST_REASON {
        text.truncate(text.floor_char_boundary(LONGEST_REASON - MARK.len()));
        text.push_str(MARK);
    }
    text
}

fn failure_details(failure: &RunFailure) -> Value {
    let mut object = match &failure.details {
        Value::Object(object) => object.clone(),
        Value::Null => Map::new(),
        other => Map::from_iter([("details".to_owned(), other.clone())]),
    };
    object.insert("kind".to_owned(), failure.kind.as_str().into());
    let object = Value::Object(object);
    let bytes = object.to_string().len();
    if bytes <= MAX_FAILURE_DETAILS {
        return object;
    }
    json!({ "kind": failure.kind, "dropped": format!("{bytes} bytes of details; {MAX_FAILURE_DETAILS} may be sent") })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::lease::testing::lease;
    use posemesh_runner_api::failure::FailureKind;

    #[test]
    fn fail_adds_the_failure_to_what_complete_would_say() {
        let lease = lease("cap");
        let failure = RunFailure {
            kind: FailureKind::Trap,
            reason: "unreachable".to_owned(),
            details: json!({"backtrace": ["f"]}),
        };
        let details = fail_details(&lease, &[], Some(&failure));
        assert_eq!(details["failure"], json!({"backtrace": ["f"], "kind": "trap"}));
        assert_eq!(details["job"]["job_id"], Value::Null, "absent ids are null, not missing");
        assert_eq!(runner_failed(&failure), "runner failed: unreachable");
    }

    #[test]
    fn reasons_and_details_are_bounded_between_characters() {
        let failure = RunFailure {
            kind: FailureKind::Trap,
            reason: "ü".repeat(LONGEST_REASON),
            details: json!({"log": "x".repeat(1 << 20)}),
        };
        let reason = runner_failed(&failure);
        assert!(reason.len() <= LONGEST_REASON && reason.ends_with("ü…"), "{} bytes", reason.len());
        let details = fail_details(&lease("cap"), &[], Some(&failure));
        assert_eq!(details["failure"]["kind"], "trap");
        assert!(details.to_string().len() < 1024, "oversized details are replaced by a note");
    }
}
