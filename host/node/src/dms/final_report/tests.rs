#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

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
    let artifacts =
        [artifact("a", Some("1")), artifact("b", Some("2")), artifact("a", Some("3")), artifact("c", None)];
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
    let (_, details) = failed(FinalReport::setup_failed(SetupStage::StartSession, &"é".repeat(MAX_REASON)));
    let error = details["error"].as_str().unwrap();
    assert!(error.len() <= MAX_REASON && error.ends_with("é…"), "{} bytes", error.len());
}
