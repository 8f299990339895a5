//! Faults of DMS while a task is executed: statuses, timeouts, broken connections, invalid answers.

use std::time::Duration;

use posemesh_devnet::Endpoint::{Complete, Fail, Heartbeat, Lease};
use posemesh_devnet::{DevnetConfig, Fault, TaskState, TaskStatus};
use posemesh_tests::guests::TRAP;
use posemesh_tests::{NOOP, NodeProcess, Scene, assert_ended_once, leases_of};
use serde_json::{Value, json};

/// Both are long enough for a machine on which a request takes a second.
pub(crate) const TTL: Duration = Duration::from_secs(12);
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// Runs a task of half a second while these faults are active, and checks that the node still works.
pub(crate) async fn through(faults: impl IntoIterator<Item = Fault>) -> TaskState {
    let (scene, node, ended) = begin(faults, TTL).await;
    scene.devnet.faults().clear();
    scene.assert_goes_on(node).await;
    ended
}

async fn begin(faults: impl IntoIterator<Item = Fault>, ttl: Duration) -> (Scene, NodeProcess, TaskState) {
    let scene = Scene::with(leases_of(ttl)).await.set("REQUEST_TIMEOUT_SECS", REQUEST_TIMEOUT.as_secs());
    for fault in faults {
        scene.devnet.faults().add(fault);
    }
    let node = scene.node();
    let task = scene.submit(NOOP, &json!({"sleep_ms": 500}), 3).1;
    let ended = scene.wait_for_end(task, &node).await;
    assert_ended_once(&ended, &node);
    (scene, node, ended)
}

pub(crate) fn assert_completed_with_one_lease(ended: &TaskState) {
    assert_eq!((ended.status, ended.leases.len()), (TaskStatus::Completed, 1), "{ended:?}");
}

/// Answers every request about a task with this status, twice.
async fn everywhere(status: u16) -> TaskState {
    let no = || Fault::answer(status, "no").times(2);
    through([no().on(Lease), no().on(Heartbeat).skip(1), no().on(Complete)]).await
}

#[tokio::test]
async fn status_401() {
    assert_completed_with_one_lease(&everywhere(401).await);
}

#[tokio::test]
async fn status_429() {
    assert_completed_with_one_lease(&everywhere(429).await);
}

#[tokio::test]
async fn status_500() {
    assert_completed_with_one_lease(&everywhere(500).await);
}

#[tokio::test]
async fn status_503() {
    assert_completed_with_one_lease(&everywhere(503).await);
}

#[tokio::test]
async fn status_403_and_409_on_a_request_for_work() {
    for status in [403, 409] {
        assert_completed_with_one_lease(&through([Fault::answer(status, "no").on(Lease).times(2)]).await);
    }
}

#[tokio::test]
async fn status_403_and_409_on_a_heartbeat() {
    for status in [403, 409] {
        // A 403 has to be said twice: an ingress says it too.
        let times = if status == 403 { 2 } else { 1 };
        let fault = Fault::answer(status, "not yours").on(Heartbeat).skip(1).times(times);
        let (scene, node, ended) = begin([fault], TTL / 3).await;
        assert_eq!((ended.status, ended.leases.len()), (TaskStatus::Completed, 2), "{}", node.log());
        assert_eq!((ended.expired_leases, ended.failures.len()), (1, 0), "lost, then done anew");
        scene.assert_goes_on(node).await;
    }
}

#[tokio::test]
async fn requests_time_out_before_and_after_the_server_acted() {
    let late = REQUEST_TIMEOUT + Duration::from_secs(1);
    let slow = [Fault::delay_before(late), Fault::delay_after(late)];
    for fault in slow {
        let ended =
            through([fault.clone().on(Heartbeat).skip(1).times(1), fault.on(Complete).times(1)]).await;
        assert_completed_with_one_lease(&ended);
    }
}

#[tokio::test]
async fn connections_are_reset_before_the_server_acted() {
    let ended = through([
        Fault::drop_before().on(Lease).times(2),
        Fault::drop_before().on(Heartbeat).times(2),
        Fault::drop_before().on(Complete).times(2),
    ])
    .await;
    assert_completed_with_one_lease(&ended);
}

#[tokio::test]
async fn connections_are_reset_after_the_server_acted_on_heartbeats_and_complete() {
    let (scene, node, ended) =
        begin([Fault::drop_after().on(Heartbeat).times(2), Fault::drop_after().on(Complete).times(1)], TTL)
            .await;
    assert_completed_with_one_lease(&ended);
    node.wait_for_log("lease completed, most likely").await;
    assert!(scene.words_about(ended.id).iter().all(|word| word != "fail"), "{}", node.log());
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn a_connection_is_reset_after_the_server_took_a_fail_and_leased_the_task_again_to_us() {
    let config = DevnetConfig { leases_per_node: 2, ..leases_of(Duration::from_secs(20)) };
    let scene = Scene::with(config).await.set("MAX_CONCURRENCY", 2).serving(TRAP);
    scene.devnet.faults().add(Fault::drop_after().on(Fail).times(1));
    let node = scene.node();
    let task = scene.submit(TRAP.capability, &Value::Null, 3).1;
    let ended = scene.wait_for_end(task, &node).await;
    // Three leases and three failures, one for each: the repeated `fail` of the first lease hits no other.
    assert_eq!((ended.status, ended.leases.len()), (TaskStatus::Failed, 3), "{}", node.log());
    assert_eq!(ended.failures.len(), 3, "{ended:?}");
    assert_ended_once(&ended, &node);
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn bodies_come_slowly() {
    // A byte every 40 ms is too slow for the timeout.
    let slow = || Fault::drip(1, Duration::from_millis(40)).times(1);
    assert_completed_with_one_lease(&through([slow().on(Heartbeat), slow().on(Heartbeat).skip(2)]).await);
}

#[tokio::test]
async fn garbage_in_place_of_json() {
    let garbage = || Fault::garbage(500).times(2);
    assert_completed_with_one_lease(&through([garbage().on(Heartbeat), garbage().on(Complete)]).await);
}

#[tokio::test]
async fn heartbeats_fail_for_half_the_ttl() {
    let scene = Scene::with(leases_of(Duration::from_secs(40))).await;
    let node = scene.node();
    let task = scene.submit_noop(Duration::from_secs(22));
    scene.wait_for_running(task, &node).await;
    let fault = scene.devnet.faults().add(Fault::answer(503, "down").on(Heartbeat));
    tokio::time::sleep(Duration::from_secs(20)).await;
    let tries = scene.hit_by(fault).len();
    assert!(scene.devnet.faults().remove(fault));
    let ended = scene.wait_for_end(task, &node).await;
    assert_completed_with_one_lease(&ended);
    assert_ended_once(&ended, &node);
    assert!((2..=16).contains(&tries), "tried again and again, with back-off: {tries}\n{}", node.log());
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn heartbeats_fail_for_the_whole_ttl() {
    let scene = Scene::with(leases_of(Duration::from_secs(4))).await;
    let node = scene.node();
    let task = scene.submit_noop(Duration::from_secs(6));
    scene.wait_for_running(task, &node).await;
    let fault = scene.devnet.faults().add(Fault::answer(503, "down").on(Heartbeat));
    node.wait_for_log("lease lost: it expired").await;
    scene.devnet.faults().remove(fault);
    let ended = scene.wait_for_end(task, &node).await;
    assert_eq!((ended.status, ended.leases.len()), (TaskStatus::Completed, 2), "{}", node.log());
    assert_ended_once(&ended, &node);
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn complete_fails_five_times() {
    // The back-off between six attempts is longer than the lease, which heartbeats renew meanwhile.
    let (scene, node, ended) = begin([Fault::answer(500, "no").on(Complete).times(5)], TTL * 2 / 3).await;
    assert_completed_with_one_lease(&ended);
    let words = scene.words_about(ended.id);
    assert_eq!(words.iter().filter(|word| *word == "complete").count(), 6, "{words:?}");
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn dms_is_down_for_a_while_in_the_middle_of_a_task() {
    let scene = Scene::with(leases_of(Duration::from_secs(10))).await;
    let node = scene.node();
    let task = scene.submit_noop(Duration::from_secs(2));
    scene.wait_for_running(task, &node).await;
    let fault = scene.devnet.faults().add(Fault::drop_before().on_role(posemesh_devnet::Role::Dms));
    tokio::time::sleep(Duration::from_secs(4)).await;
    scene.devnet.faults().remove(fault);
    let ended = scene.wait_for_end(task, &node).await;
    assert_completed_with_one_lease(&ended);
    assert_ended_once(&ended, &node);
    scene.assert_goes_on(node).await;
}
