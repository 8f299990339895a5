//! Sections 5, 5.1 and 5.2: a task from lease to end, and cancellation.

use std::time::Duration;

use posemesh_devnet::Endpoint::{Complete, Heartbeat, Lease};
use posemesh_devnet::{DevnetConfig, Endpoint, Fault, TaskStatus};
use posemesh_tests::guests::SPIN;
use posemesh_tests::{NOOP, Scene, assert_ended_once, leases_of};
use serde_json::{Value, json};

#[tokio::test]
async fn s5_a_minimal_task_is_lease_heartbeat_the_last_report_complete_and_the_next_lease() {
    let scene = Scene::new().await;
    let mut node = scene.node();
    scene.wait_for_work_wanted(&node).await;
    let task = scene.submit_noop(Duration::ZERO);
    let ended = scene.wait_for_end(task, &node).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
    let complete = scene.requests(Endpoint::Complete).remove(0);
    scene.wait_for_after(Endpoint::Lease, complete.seq, &node).await;
    let all = scene.devnet.requests();
    let granted = |request: &&posemesh_devnet::RequestRecord| {
        request.endpoint == Some(Endpoint::Lease) && request.status == Some(200)
    };
    let lease = all.iter().find(granted).expect("a lease").seq;
    let words: Vec<_> =
        all.iter().filter(|r| r.seq >= lease && r.seq <= complete.seq).filter_map(|r| r.endpoint).collect();
    // The noop runner reports once, at its end: no heartbeat without a report follows the first, and nothing
    // is sent twice.
    assert_eq!(words, [Lease, Heartbeat, Heartbeat, Complete], "{}", node.log());
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn s5_no_fixed_sleep_stands_between_a_runners_end_and_complete() {
    // 40 tasks, one after the other; of such a sleep, each would have all.
    let scene = Scene::new().await;
    let node = scene.node();
    scene.wait_for_work_wanted(&node).await;
    let tasks: Vec<_> = (0..40).map(|_| scene.submit_noop(Duration::ZERO)).collect();
    let mut waits = Vec::new();
    for task in &tasks {
        let ended = scene.wait_for_end(*task, &node).await;
        assert_ended_once(&ended, &node);
        let last = scene.devnet.heartbeats(*task).last().expect("one").at;
        let about = format!("/tasks/{task}/complete");
        let complete = scene.requests(Endpoint::Complete).into_iter().find(|r| r.path.ends_with(&about));
        waits.push(complete.expect("it is completed").at.saturating_duration_since(last));
    }
    waits.sort_unstable();
    assert!(
        waits[0] < Duration::from_millis(200),
        "on a busy machine too, some take less than 200 ms: {waits:?}"
    );
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s5_as_many_leases_as_workers_are_worked_on_at_once_each_with_its_own_token_and_heartbeats() {
    let config = DevnetConfig { leases_per_node: 8, ..leases_of(Duration::from_secs(10)) };
    let scene = Scene::with(config).await.set("MAX_CONCURRENCY", 4);
    let tasks: Vec<_> = (0..8).map(|_| scene.submit_noop(Duration::from_secs(4))).collect();
    let node = scene.node();
    let running = || {
        let of = |status| tasks.iter().filter(|task| scene.task(**task).status == status).count();
        Some((of(TaskStatus::Running), of(TaskStatus::Leased))).filter(|(running, _)| *running == 4)
    };
    let (_, leased) = scene.wait_until("four tasks at once", &node, running).await;
    assert_eq!(leased, 0, "no lease without a worker");
    for task in &tasks {
        let ended = scene.wait_for_end(*task, &node).await;
        assert_eq!((ended.status, ended.leases.len()), (TaskStatus::Completed, 1), "{}", node.log());
        assert_ended_once(&ended, &node);
        let beats = scene.devnet.heartbeats(*task);
        assert!(beats.iter().all(|beat| beat.accepted), "{beats:?}");
        assert_eq!(beats.last().expect("some").progress["progress"], 1.0);
    }
    let most = tasks.iter().map(|task| scene.task(*task).leases[0].at).collect::<Vec<_>>();
    let ends = scene.requests(Endpoint::Complete).iter().map(|r| r.at).collect::<Vec<_>>();
    for at in &most {
        let held =
            most.iter().filter(|lease| *lease <= at).count() - ends.iter().filter(|end| *end < at).count();
        assert!(held <= 4, "{held} leases at once");
    }
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s5_1_a_cancel_in_the_initial_answer_keeps_the_runner_from_starting() {
    let scene = Scene::with(leases_of(Duration::from_secs(1))).await;
    scene
        .devnet
        .faults()
        .add(Fault::delay_before(Duration::from_millis(500)).on(Endpoint::Heartbeat).times(1));
    let node = scene.node();
    let (job, task) = scene.submit(NOOP, &json!({"sleep_ms": 60_000}), 1);
    scene.wait_for(Endpoint::Heartbeat, 1, &node).await;
    scene.devnet.cancel_job(job).expect("it is leased");
    node.wait_for_log("lease cancelled").await;
    assert_eq!(scene.words_about(task), ["heartbeat"], "{}", node.log());
    assert!(!node.log().contains("runner=noop"), "{}", node.log());
    assert_ended_once(&scene.task(task), &node);
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s5_1_a_cancel_stops_the_runner_and_nothing_more_is_sent() {
    // A runner that reacts to the cancellation, and one that does not.
    for (capability, meta) in [(NOOP, json!({"sleep_ms": 60_000})), (SPIN.capability, Value::Null)] {
        let scene = Scene::with(leases_of(Duration::from_secs(3))).await.serving(SPIN);
        let node = scene.node();
        let (job, task) = scene.submit(capability, &meta, 3);
        scene.wait_for_running(task, &node).await;
        scene.devnet.cancel_job(job).expect("it runs");
        node.wait_for_log("lease cancelled").await;
        let beats = scene.devnet.heartbeats(task);
        assert_eq!(beats.iter().filter(|beat| beat.cancel).count(), 1, "none after it: {beats:?}");
        assert!(beats.last().expect("some").cancel, "{beats:?}");
        assert!(scene.words_about(task).iter().all(|word| word == "heartbeat"), "{}", node.log());
        let ended = scene.task(task);
        assert_eq!((ended.status, ended.leases.len()), (TaskStatus::Canceled, 1));
        assert_ended_once(&ended, &node);
        scene.assert_goes_on(node).await;
    }
}

#[tokio::test]
async fn s5_2_a_lease_that_expires_at_the_server_is_lost_and_the_next_one_completes() {
    let scene = Scene::with(leases_of(Duration::from_secs(2))).await;
    let node = scene.node();
    let task = scene.submit_noop(Duration::from_secs(3));
    scene.wait_for_running(task, &node).await;
    assert!(scene.devnet.expire_lease(task));
    let ended = scene.wait_for_end(task, &node).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
    assert_eq!((ended.leases.len(), ended.expired_leases, ended.failures.len()), (2, 1, 0));
    assert_ended_once(&ended, &node);
    assert!(node.log().contains("lease lost"), "{}", node.log());
    scene.assert_goes_on(node).await;
}
