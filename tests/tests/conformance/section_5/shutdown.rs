//! Section 5.3: shutdown.

use std::time::{Duration, Instant};

use posemesh_devnet::Endpoint::{RegisterWallet, SiweRequest, SiweVerify};
use posemesh_devnet::{Endpoint, Fault, TaskStatus};
use posemesh_tests::guests::SPIN;
use posemesh_tests::{NOOP, Scene, assert_ended_once, leases_of};
use serde_json::{Value, json};

/// Longest shutdown: the node does not wait for a server that hangs; the rest is for a loaded machine.
const SOON: Duration = Duration::from_secs(25);
const HANGS: Duration = Duration::from_secs(600);

#[tokio::test]
async fn s5_3_an_idle_node_ends_at_the_first_signal() {
    for signal in ["TERM", "INT"] {
        let scene = Scene::new().await.set("POLL_BACKOFF_MS_MIN", 60_000).set("POLL_BACKOFF_MS_MAX", 60_000);
        let mut node = scene.node();
        scene.wait_for_work_wanted(&node).await;
        let began = Instant::now();
        node.signal(signal).await;
        assert_eq!(node.wait().await, 0, "{}", node.log());
        assert!(began.elapsed() < SOON, "SIG{signal}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn s5_3_a_signal_in_the_middle_of_registration_or_login_ends_the_node_at_once() {
    for endpoint in [SiweRequest, RegisterWallet, SiweVerify] {
        let scene = Scene::new().await;
        scene.devnet.faults().add(Fault::delay_before(HANGS).on(endpoint));
        let mut node = scene.node();
        scene.wait_for(endpoint, 1, &node).await;
        let began = Instant::now();
        assert_eq!(node.terminate().await, 0, "{endpoint:?}\n{}", node.log());
        assert!(began.elapsed() < SOON, "{endpoint:?}: {:?}\n{}", began.elapsed(), node.log());
    }
}

#[tokio::test]
async fn s5_3_a_request_for_work_that_hangs_is_given_up() {
    let scene = Scene::new().await.set("SHUTDOWN_GRACE_SECS", 50);
    scene.devnet.faults().add(Fault::delay_before(HANGS).on(Endpoint::Lease));
    let mut node = scene.node();
    scene.wait_for(Endpoint::Lease, 1, &node).await;
    let began = Instant::now();
    assert_eq!(node.terminate().await, 0, "{}", node.log());
    assert!(began.elapsed() < SOON, "not after the grace time: {:?}\n{}", began.elapsed(), node.log());
}

#[tokio::test]
async fn s5_3_a_lease_that_is_answered_during_the_shutdown_is_abandoned() {
    let scene = Scene::new().await;
    let task = scene.submit(NOOP, &json!({"sleep_ms": 0}), 2).1;
    scene.devnet.faults().add(Fault::delay_after(Duration::from_secs(2)).on(Endpoint::Lease));
    let mut node = scene.node();
    let leased = || Some(scene.task(task)).filter(|task| task.status == TaskStatus::Leased);
    scene.wait_until("a lease", &node, leased).await;
    assert_eq!(node.terminate().await, 0, "{}", node.log());
    let abandoned = scene.task(task);
    assert_eq!(abandoned.status, TaskStatus::Queued, "{abandoned:?}\n{}", node.log());
    assert_eq!(abandoned.failures[0].reason, "node_shutdown");
    assert_eq!(scene.words_about(task), ["fail"], "it is not even begun");
}

#[tokio::test]
async fn s5_3_what_is_running_may_end_within_the_grace_time() {
    let scene = Scene::new().await;
    let mut node = scene.node();
    let task = scene.submit_noop(Duration::from_secs(2));
    scene.wait_for_running(task, &node).await;
    let waiting = scene.submit_noop(Duration::ZERO);
    assert_eq!(node.terminate().await, 0, "{}", node.log());
    let ended = scene.task(task);
    assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
    assert_ended_once(&ended, &node);
    assert_eq!(scene.task(waiting).status, TaskStatus::Queued, "nothing more is leased");
}

#[tokio::test]
async fn s5_3_what_is_not_done_then_is_abandoned_as_node_shutdown() {
    // A runner that reacts to the request to stop, and one that does not.
    for (capability, meta) in [(NOOP, json!({"sleep_ms": 60_000})), (SPIN.capability, Value::Null)] {
        let scene = Scene::with(leases_of(Duration::from_secs(8))).await.set("SHUTDOWN_GRACE_SECS", 1);
        let scene = scene.serving(SPIN);
        let mut node = scene.node();
        let task = scene.submit(capability, &meta, 2).1;
        scene.wait_for_running(task, &node).await;
        assert_eq!(node.terminate().await, 0, "{}", node.log());
        let abandoned = scene.task(task);
        assert_eq!(abandoned.failures.len(), 1, "{abandoned:?}\n{}", node.log());
        assert_eq!((abandoned.status, abandoned.expired_leases), (TaskStatus::Queued, 0));
        let failure = &abandoned.failures[0];
        assert_eq!(failure.reason, "node_shutdown");
        assert_eq!(failure.details["job"]["capability"], capability, "{}", failure.details);
    }
}

#[tokio::test]
async fn s5_3_a_second_signal_ends_the_node_now() {
    let scene = Scene::new().await.serving(SPIN);
    let mut node = scene.node();
    let task = scene.submit(SPIN.capability, &Value::Null, 1).1;
    scene.wait_for_running(task, &node).await;
    node.signal("TERM").await;
    node.wait_for_log("no more leases are taken").await;
    // Sooner it would be the same wish.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let began = Instant::now();
    node.signal("INT").await;
    assert_ne!(node.wait().await, 0, "work was left behind\n{}", node.log());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(scene.task(task).failures.is_empty(), "and nobody was asked");
}
