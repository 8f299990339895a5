//! The node is drained, stopped, and signalled at odd moments.

use std::time::Duration;

use posemesh_devnet::{Endpoint, TaskStatus};
use posemesh_tests::{NOOP, Scene};
use serde_json::json;

#[tokio::test]
async fn two_signals_within_milliseconds_are_one_wish() {
    let scene = Scene::new().await;
    let mut node = scene.node();
    let task = scene.submit_noop(Duration::from_secs(3));
    scene.wait_for_running(task, &node).await;
    node.signal("TERM").await;
    node.signal("TERM").await;
    assert_eq!(node.wait().await, 0, "{}", node.log());
    assert_eq!(scene.task(task).status, TaskStatus::Completed, "{}", node.log());
}

#[tokio::test]
async fn what_does_not_end_in_time_is_given_back_within_the_grace_time() {
    let scene = Scene::new().await.set("SHUTDOWN_GRACE_SECS", 6);
    let mut node = scene.node();
    let (_, task) = scene.submit(NOOP, &json!({"sleep_ms": 600_000}), 1);
    scene.wait_for_running(task, &node).await;
    assert_eq!(node.terminate().await, 0, "{}", node.log());
    let ended = scene.task(task);
    let reasons: Vec<_> = ended.failures.iter().map(|failure| failure.reason.as_str()).collect();
    assert_eq!(reasons, ["node_shutdown"], "{}", node.log());
}

#[tokio::test]
async fn a_drain_outlasts_the_grace_time_and_is_undone() {
    let scene = Scene::new().await.set("SHUTDOWN_GRACE_SECS", 0);
    let mut node = scene.node();
    let (job, running) = scene.submit(NOOP, &json!({"sleep_ms": 600_000}), 1);
    scene.wait_for_running(running, &node).await;
    node.signal("USR1").await;
    node.wait_for_log("draining: no new leases").await;
    let waiting = scene.submit_noop(Duration::ZERO);
    let polls = scene.requests(Endpoint::Lease).len();
    // The drain is undone before the task has ended; the node still works on it, and on the other one after it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.requests(Endpoint::Lease).len(), polls, "nothing is asked for");
    node.signal("USR2").await;
    node.wait_for_log("taking leases again").await;
    assert_eq!(scene.task(running).status, TaskStatus::Running, "{}", node.log());
    scene.devnet.cancel_job(job).expect("it runs");
    assert_eq!(scene.wait_for_end(waiting, &node).await.status, TaskStatus::Completed, "{}", node.log());
    // Drained for good, it ends by itself, after the task that it has.
    let last = scene.submit_noop(Duration::from_secs(2));
    scene.wait_for_running(last, &node).await;
    node.signal("USR1").await;
    assert_eq!(node.wait().await, 0, "{}", node.log());
    assert_eq!(scene.task(last).status, TaskStatus::Completed, "{}", node.log());
}

#[tokio::test]
async fn a_hang_up_during_the_start_does_not_end_the_node() {
    let scene = Scene::new().await.cold();
    let mut node = scene.node();
    // From the first line on; the compiler is at work then.
    node.wait_for_log("what tasks may use").await;
    node.signal("HUP").await;
    let task = scene.submit_noop(Duration::ZERO);
    assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed, "{}", node.log());
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}
