//! Section 3.4: heartbeats, what they carry, and what each answer means for the lease.

use std::time::Duration;

use posemesh_devnet::{Endpoint, Fault, TaskStatus};
use posemesh_tests::guests::SPIN;
use posemesh_tests::{NOOP, Scene, assert_ended_once, leases_of};
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn s3_4_the_first_says_nothing_and_the_last_one_before_complete_everything() {
    let scene = Scene::new().await;
    let node = scene.node();
    let task = scene.submit_noop(Duration::from_millis(900));
    let ended = scene.wait_for_end(task, &node).await;
    let beats = scene.devnet.heartbeats(task);
    assert_eq!((&beats[0].progress, beats[0].events.len()), (&json!({}), 0));
    assert_eq!(beats.last().expect("some").progress["progress"], 1.0, "{beats:?}\n{}", node.log());
    assert_ended_once(&ended, &node);
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_4_answers_that_do_not_end_the_lease_are_tried_again_while_it_lives() {
    let scene = Scene::with(leases_of(Duration::from_secs(20))).await;
    let node = scene.node();
    let no = |status| Fault::answer(status, "no");
    for (what, fault) in [
        ("400", no(400)),
        ("401", no(401)),
        ("408", no(408)),
        ("413", no(413)),
        ("422", no(422)),
        ("429", no(429)),
        ("500", no(500)),
        ("502", no(502)),
        ("503", no(503)),
        ("504", no(504)),
        ("an empty 200", no(200)),
        ("204", no(204)),
        ("null", Fault::answer_json(200, "null")),
        ("nonsense", Fault::garbage(300)),
    ] {
        let fault = scene.devnet.faults().add(fault.on(Endpoint::Heartbeat).skip(1).times(2));
        let task = scene.submit_noop(Duration::from_millis(600));
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!(ended.status, TaskStatus::Completed, "{what}: {:?}\n{}", ended.failures, node.log());
        assert_ended_once(&ended, &node);
        assert_eq!((ended.leases.len(), scene.hit_by(fault).len()), (1, 2), "{what}");
    }
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_4_a_lease_that_is_not_ours_any_more_is_dropped_without_a_word() {
    for status in [403, 404, 409, 410] {
        let scene = Scene::with(leases_of(Duration::from_secs(2))).await.serving(SPIN);
        let fault = Fault::answer(status, "gone").on(Endpoint::Heartbeat).skip(1);
        let fault = scene.devnet.faults().add(fault);
        let node = scene.node();
        let task = scene.submit(SPIN.capability, &Value::Null, 1).1;
        scene.wait_for_hits(fault, 1, &node).await;
        node.wait_for_log("lease lost").await;
        scene.devnet.faults().clear();
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!(ended.status, TaskStatus::Failed, "it expired: {ended:?}");
        assert_ended_once(&ended, &node);
        // What an ingress may have said is asked once more; nothing else is sent.
        let asked = if [403, 404].contains(&status) { 3 } else { 2 };
        assert_eq!(scene.words_about(task), vec!["heartbeat"; asked], "{status}: no further request");
        scene.assert_goes_on(node).await;
    }
}

#[tokio::test]
async fn s3_4_a_single_404_or_403_on_a_heartbeat_is_asked_once_more() {
    let scene = Scene::new().await;
    let node = scene.node();
    for status in [403, 404] {
        for skip in [0, 1] {
            let fault = Fault::answer(status, "no such route").on(Endpoint::Heartbeat).skip(skip).times(1);
            let fault = scene.devnet.faults().add(fault);
            // Progress makes a second heartbeat come early.
            let task = scene.submit(NOOP, &json!({"sleep_ms": 500}), 1).1;
            let ended = scene.wait_for_end(task, &node).await;
            assert_eq!(ended.status, TaskStatus::Completed, "{status}\n{}", node.log());
            assert_ended_once(&ended, &node);
            assert_eq!(scene.hit_by(fault).len(), 1, "{status}, after {skip}");
        }
    }
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_4_a_blank_access_token_in_an_answer_keeps_the_one_that_there_is() {
    let scene = Scene::new().await;
    for patch in [
        json!({"access_token": "", "task_id": "", "lease_expires_at": " ", "domain_server_url": ""}),
        json!({"access_token": 7, "attempts": "x", "job_id": {}, "task": [], "domain_server_url": "nowhere"}),
    ] {
        scene.devnet.faults().add(Fault::merge(patch).on(Endpoint::Heartbeat).times(2));
        let node = scene.node();
        let task = scene.submit_noop(Duration::from_millis(500));
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!(ended.status, TaskStatus::Completed, "{:?}\n{}", ended.failures, node.log());
        assert_ended_once(&ended, &node);
        scene.assert_goes_on(node).await;
    }
}

#[tokio::test]
async fn s3_4_a_lost_initial_heartbeat_starts_no_runner() {
    let scene = Scene::with(leases_of(Duration::from_secs(4))).await;
    let node = scene.node();
    for (status, asked) in [(403, 2), (404, 2), (409, 1), (410, 1)] {
        let fault = Fault::answer(status, "gone").on(Endpoint::Heartbeat);
        scene.devnet.faults().add(fault.times(asked.try_into().expect("a small number")));
        let task = scene.submit(NOOP, &json!({"sleep_ms": 0}), 1).1;
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!((ended.status, ended.expired_leases), (TaskStatus::Failed, 1), "{}", node.log());
        assert_eq!(scene.words_about(task), vec!["heartbeat"; asked], "{status}");
    }
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_4_an_initial_heartbeat_that_can_never_work_fails_the_task_at_its_stage() {
    let scene = Scene::new().await;
    scene.devnet.faults().add(Fault::answer(422, "no").on(Endpoint::Heartbeat).times(1));
    let node = scene.node();
    let task = scene.submit(NOOP, &json!({"sleep_ms": 0}), 1).1;
    let ended = scene.wait_for_end(task, &node).await;
    let failure = &ended.failures[0];
    assert_eq!(
        (failure.reason.as_str(), &failure.details["stage"]),
        ("node_setup_failed", &json!("initial_heartbeat"))
    );
    assert_ended_once(&ended, &node);
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_4_later_heartbeats_go_to_the_task_that_an_answer_names() {
    let other = Uuid::new_v4();
    for patch in [json!({"task_id": other}), json!({"task": {"id": other, "capability": NOOP}})] {
        let scene = Scene::with(leases_of(Duration::from_secs(2))).await.serving(SPIN);
        scene.devnet.faults().add(Fault::merge(patch).on(Endpoint::Heartbeat).skip(1).times(1));
        let node = scene.node();
        scene.submit(SPIN.capability, &Value::Null, 1);
        let beats = scene.wait_for(Endpoint::Heartbeat, 3, &node).await;
        assert!(beats[2].path.contains(&other.to_string()), "{beats:?}");
        // There is no such task, so that lease is lost.
        node.wait_for_log("lease lost").await;
        scene.assert_goes_on(node).await;
    }
}
