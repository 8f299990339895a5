//! Tasks that are cancelled, at each point of their life.

use std::time::Duration;

use posemesh_devnet::{Endpoint, Fault, TaskStatus};
use posemesh_tests::{NOOP, Scene, assert_ended_once, leases_of};
use serde_json::json;

const TTL: Duration = Duration::from_secs(8);
/// The time in which a lease is granted and the node does not know it yet.
const UNKNOWN: Duration = Duration::from_secs(3);

#[tokio::test]
async fn at_claim() {
    let scene = Scene::with(leases_of(TTL)).await;
    // Cancelled between the claim and its answer, which says so.
    scene.devnet.faults().add(Fault::delay_after(UNKNOWN).on(Endpoint::Lease).times(1));
    scene.devnet.faults().add(Fault::merge(json!({"cancel": true})).on(Endpoint::Lease).times(1));
    let (job, task) = scene.submit(NOOP, &json!({"sleep_ms": 60_000}), 3);
    let node = scene.node();
    let leased = || Some(scene.task(task)).filter(|task| task.status == TaskStatus::Leased);
    scene.wait_until("a lease", &node, leased).await;
    scene.devnet.cancel_job(job).expect("it is leased");
    node.wait_for_log("lease cancelled").await;
    assert_eq!(scene.words_about(task), [""; 0], "no call at all");
    assert_ended_once(&scene.task(task), &node);
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn at_the_first_heartbeat() {
    let scene = Scene::with(leases_of(TTL)).await;
    scene.devnet.faults().add(Fault::delay_after(UNKNOWN).on(Endpoint::Lease).times(1));
    let (job, task) = scene.submit(NOOP, &json!({"sleep_ms": 60_000}), 3);
    let node = scene.node();
    let leased = || Some(scene.task(task)).filter(|task| task.status == TaskStatus::Leased);
    scene.wait_until("a lease", &node, leased).await;
    scene.devnet.cancel_job(job).expect("it is leased");
    node.wait_for_log("lease cancelled").await;
    assert_eq!(scene.words_about(task), ["heartbeat"], "the runner is not started");
    assert_ended_once(&scene.task(task), &node);
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn mid_run() {
    let scene = Scene::with(leases_of(TTL)).await;
    let node = scene.node();
    let (job, task) = scene.submit(NOOP, &json!({"sleep_ms": 60_000}), 3);
    scene.wait_for_running(task, &node).await;
    scene.devnet.cancel_job(job).expect("it runs");
    node.wait_for_log("lease cancelled").await;
    assert!(scene.words_about(task).iter().all(|word| word == "heartbeat"), "neither complete nor fail");
    assert_ended_once(&scene.task(task), &node);
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn while_complete_is_tried_again() {
    let scene = Scene::with(leases_of(TTL)).await;
    let fault = scene.devnet.faults().add(Fault::answer(503, "no").on(Endpoint::Complete));
    let node = scene.node();
    let (job, task) = scene.submit(NOOP, &json!({"sleep_ms": 0}), 3);
    scene.wait_for_hits(fault, 1, &node).await;
    scene.devnet.cancel_job(job).expect("it is not completed");
    node.wait_for_log("lease cancelled").await;
    let ended = scene.task(task);
    assert_eq!(ended.status, TaskStatus::Canceled, "{ended:?}");
    assert_ended_once(&ended, &node);
    scene.devnet.faults().clear();
    scene.assert_goes_on(node).await;
}
