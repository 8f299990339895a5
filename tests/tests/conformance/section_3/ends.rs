//! Sections 3.5 and 3.6: `complete` and `fail`, and every possible answer to them.

use std::time::Duration;

use posemesh_devnet::{Endpoint, Fault, TaskStatus};
use posemesh_tests::guests::TRAP;
use posemesh_tests::{NOOP, Scene, assert_ended_once, leases_of};
use serde_json::{Value, json};

/// Statuses that do not mean that the lease is lost.
const TRANSIENT: [u16; 7] = [401, 408, 429, 500, 502, 503, 504];
/// Statuses that mean that the lease is lost.
const GONE: [u16; 4] = [403, 404, 409, 410];

/// How many times a status has to be said until it is believed: an ingress says some of them too.
fn times_asked(status: u16) -> usize {
    if [403, 404].contains(&status) { 2 } else { 1 }
}

#[tokio::test]
async fn s3_5_complete_has_the_body_of_the_protocol() {
    let scene = Scene::new().await;
    let node = scene.node();
    let (job, task) = scene.submit(NOOP, &json!({"sleep_ms": 0}), 1);
    let ended = scene.wait_for_end(task, &node).await;
    let domain = scene.devnet.domain_id();
    let expected = json!({
        "output_cids": [],
        "meta": {
            "job": {"task_id": task, "job_id": job, "domain_id": domain, "capability": NOOP},
            "artifacts": [],
        },
    });
    assert_eq!(ended.completions, [expected], "{}", node.log());
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_6_fail_has_the_body_of_the_protocol() {
    let scene = Scene::new().await.serving(TRAP);
    let node = scene.node();
    let (job, task) = scene.submit(TRAP.capability, &Value::Null, 1);
    let ended = scene.wait_for_end(task, &node).await;
    let failure = &ended.failures[0];
    assert!(failure.reason.starts_with("runner failed: "), "{}", failure.reason);
    let domain = scene.devnet.domain_id();
    let about = json!({"task_id": task, "job_id": job, "domain_id": domain, "capability": TRAP.capability});
    assert_eq!((&failure.details["job"], &failure.details["artifacts"]), (&about, &json!([])));
    assert_ended_once(&ended, &node);
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_5_complete_is_tried_again_while_the_lease_lives() {
    let scene = Scene::new().await;
    let node = scene.node();
    for status in TRANSIENT {
        let fault = scene.devnet.faults().add(Fault::answer(status, "no").on(Endpoint::Complete).times(2));
        let task = scene.submit(NOOP, &json!({"sleep_ms": 0}), 1).1;
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!(ended.status, TaskStatus::Completed, "{status}\n{}", node.log());
        assert_ended_once(&ended, &node);
        assert_eq!(scene.hit_by(fault).len(), 2, "{status}");
    }
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_6_fail_is_tried_again_while_the_lease_lives() {
    let scene = Scene::new().await.serving(TRAP);
    // It traps more often than a breaker would allow.
    std::fs::write(scene.plugins().join("trap.toml"), "[breaker]\nenabled = false\n").expect("written");
    let node = scene.node();
    for status in TRANSIENT {
        let fault = scene.devnet.faults().add(Fault::answer(status, "no").on(Endpoint::Fail).times(2));
        let task = scene.submit(TRAP.capability, &Value::Null, 1).1;
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!(ended.status, TaskStatus::Failed, "{status}\n{}", node.log());
        assert_ended_once(&ended, &node);
        assert_eq!(scene.hit_by(fault).len(), 2, "{status}");
    }
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_5_a_complete_that_finds_the_lease_gone_is_neither_repeated_nor_followed_by_fail() {
    let scene = Scene::with(leases_of(Duration::from_secs(1))).await;
    let node = scene.node();
    for status in GONE {
        let asked = times_asked(status);
        let fault = Fault::answer(status, "gone").on(Endpoint::Complete);
        scene.devnet.faults().add(fault.times(asked.try_into().expect("a small number")));
        let task = scene.submit(NOOP, &json!({"sleep_ms": 0}), 1).1;
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!((ended.status, ended.expired_leases), (TaskStatus::Failed, 1), "{status}: as ordered");
        let words = scene.words_about(task);
        assert_eq!(words.iter().filter(|word| *word == "complete").count(), asked, "{status}: {words:?}");
        assert_eq!(words.last().map(String::as_str), Some("complete"), "{status}: {words:?}");
        assert!(node.log().contains(&format!("DMS answered {status}")), "{}", node.log());
    }
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_5_a_single_404_or_403_on_complete_is_asked_once_more() {
    let scene = Scene::new().await;
    let node = scene.node();
    for status in [403, 404] {
        scene.devnet.faults().add(Fault::answer(status, "no such route").on(Endpoint::Complete).times(1));
        let task = scene.submit(NOOP, &json!({"sleep_ms": 0}), 1).1;
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!((ended.status, ended.leases.len()), (TaskStatus::Completed, 1), "{}", node.log());
        assert_ended_once(&ended, &node);
    }
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_5_after_a_complete_that_may_have_arrived_a_refusal_is_no_failure() {
    let scene = Scene::new().await;
    let node = scene.node();
    for status in [400, 413, 422] {
        scene.devnet.faults().add(Fault::drop_after().on(Endpoint::Complete).times(1));
        scene.devnet.faults().add(Fault::answer(status, "ended").on(Endpoint::Complete).skip(1).times(1));
        let task = scene.submit(NOOP, &json!({"sleep_ms": 0}), 1).1;
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
        node.wait_for_log("lease completed, most likely").await;
        let words = scene.words_about(task);
        assert!(!words.contains(&"fail".to_owned()), "{status}: {words:?}\n{}", node.log());
        scene.devnet.faults().clear();
    }
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_6_a_fail_that_is_too_large_is_sent_with_its_reason_alone() {
    let scene = Scene::new().await.serving(TRAP);
    let node = scene.node();
    scene.devnet.faults().add(Fault::answer(413, "too large").on(Endpoint::Fail).times(1));
    let task = scene.submit(TRAP.capability, &Value::Null, 1).1;
    let ended = scene.wait_for_end(task, &node).await;
    let failure = &ended.failures[0];
    assert!(failure.reason.starts_with("runner failed: ") && failure.details.is_null(), "{failure:?}");
    assert_ended_once(&ended, &node);
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_5_a_complete_that_is_refused_fails_the_task() {
    let scene = Scene::new().await;
    let node = scene.node();
    for status in [302, 400, 413, 422] {
        scene.devnet.faults().add(Fault::answer(status, "no").on(Endpoint::Complete).times(1));
        let task = scene.submit(NOOP, &json!({"sleep_ms": 0}), 2).1;
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!((ended.status, ended.leases.len()), (TaskStatus::Completed, 2), "{}", node.log());
        assert_ended_once(&ended, &node);
        let reason = &ended.failures[0].reason;
        assert!(reason.contains("complete was refused") && reason.contains(&status.to_string()), "{reason}");
    }
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_6_a_fail_that_cannot_be_delivered_leaves_the_lease_to_expire() {
    let scene = Scene::with(leases_of(Duration::from_secs(1))).await.serving(TRAP);
    let node = scene.node();
    for status in [400, 403, 404, 409, 410, 422] {
        let asked = times_asked(status);
        let fault = Fault::answer(status, "no").on(Endpoint::Fail);
        scene.devnet.faults().add(fault.times(asked.try_into().expect("a small number")));
        let task = scene.submit(TRAP.capability, &Value::Null, 1).1;
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!((ended.status, ended.expired_leases), (TaskStatus::Failed, 1), "{status}: as ordered");
        assert_eq!(scene.words_about(task).iter().filter(|word| *word == "fail").count(), asked, "{status}");
    }
    scene.assert_goes_on(node).await;
}
