//! Section 4: when the node asks for work, and when heartbeats are sent. The formulae are tested with paused
//! time beside the code; here the binary follows them with short times.

use std::time::Duration;

use posemesh_devnet::{Endpoint, Fault, TaskStatus};
use posemesh_tests::guests::{EVENT_FLOOD, SPIN};
use posemesh_tests::{NOOP, Scene, assert_ended_once, gaps, leases_of};
use serde_json::{Value, json};

fn between(requests: &[posemesh_devnet::HeartbeatRecord]) -> Vec<Duration> {
    requests.windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}

#[tokio::test]
async fn s4_1_idle_polls_are_spread_over_the_whole_range() {
    let scene = Scene::new().await.set("POLL_BACKOFF_MS_MIN", 100).set("POLL_BACKOFF_MS_MAX", 500);
    let mut node = scene.node();
    let polls = scene.wait_for(Endpoint::Lease, 25, &node).await;
    let gaps = gaps(&polls);
    assert!(gaps.iter().all(|gap| *gap >= Duration::from_millis(100)), "{gaps:?}");
    // 24 uniform draws that all lie in one half would be one chance in 16 million; a loaded machine only
    // makes gaps longer.
    assert!(gaps.iter().any(|gap| *gap >= Duration::from_millis(300)), "{gaps:?}");
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn s4_1_after_work_the_next_poll_comes_at_once() {
    let scene = Scene::new().await.set("POLL_BACKOFF_MS_MIN", 20_000).set("POLL_BACKOFF_MS_MAX", 30_000);
    let tasks: Vec<_> = (0..5).map(|_| scene.submit_noop(Duration::ZERO)).collect();
    let mut node = scene.node();
    for task in &tasks {
        assert_eq!(scene.wait_for_end(*task, &node).await.status, TaskStatus::Completed, "{}", node.log());
    }
    let polls = scene.requests(Endpoint::Lease);
    let gaps = gaps(&polls[..5]);
    let idle = |gap: &Duration| *gap >= Duration::from_secs(20);
    assert!(!gaps.iter().any(idle), "five tasks without one idle wait between them, not {gaps:?}");
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn s4_1_leases_that_get_nowhere_are_not_polled_for_in_a_loop() {
    let scene = Scene::new().await.set("POLL_BACKOFF_MS_MIN", 300).set("POLL_BACKOFF_MS_MAX", 2000);
    scene
        .devnet
        .faults()
        .add(Fault::merge(json!({"task": {"capability": "/x"}})).on(Endpoint::Lease).times(3));
    let mut node = scene.node();
    let task = scene.submit(NOOP, &json!({"sleep_ms": 0}), 4).1;
    let ended = scene.wait_for_end(task, &node).await;
    assert_eq!((ended.status, ended.leases.len()), (TaskStatus::Completed, 4), "{}", node.log());
    assert_ended_once(&ended, &node);
    let waits: Vec<_> = ended.leases.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    for (wait, least) in waits.iter().zip([300, 600, 1000]) {
        assert!(*wait >= Duration::from_millis(least), "they grow: {waits:?}");
    }
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn s4_2_a_silent_lease_is_renewed_after_a_quarter_to_a_third_of_its_life() {
    let scene = Scene::with(leases_of(Duration::from_secs(8))).await.serving(SPIN);
    let node = scene.node();
    let (job, task) = scene.submit(SPIN.capability, &Value::Null, 1);
    scene.wait_for(Endpoint::Heartbeat, 5, &node).await;
    let gaps = between(&scene.devnet.heartbeats(task));
    assert!(gaps.iter().all(|gap| *gap >= Duration::from_millis(1900)), "never early: {gaps:?}");
    assert!(gaps.iter().all(|gap| *gap < Duration::from_secs(8)), "never after the end: {gaps:?}");
    let mean = gaps.iter().sum::<Duration>() / u32::try_from(gaps.len()).expect("few");
    assert!(mean < Duration::from_secs(5), "in good time: {gaps:?}");
    scene.devnet.cancel_job(job).expect("it runs");
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s4_2_heartbeats_keep_their_rhythm_while_guests_compute_on_every_core() {
    let config = posemesh_devnet::DevnetConfig { leases_per_node: 6, ..leases_of(Duration::from_secs(6)) };
    let scene = Scene::with(config).await.serving(SPIN).set("MAX_CONCURRENCY", 6);
    let jobs: Vec<_> = (0..6).map(|_| scene.submit(SPIN.capability, &Value::Null, 1)).collect();
    let node = scene.node();
    for (_, task) in &jobs {
        let beats = || Some(scene.devnet.heartbeats(*task)).filter(|beats| beats.len() >= 5);
        let beats = scene.wait_until("five heartbeats of each", &node, beats).await;
        assert!(between(&beats).iter().all(|gap| *gap < Duration::from_secs(6)), "{beats:?}");
        let state = scene.task(*task);
        assert_eq!((state.leases.len(), state.expired_leases), (1, 0), "{}", node.log());
    }
    for (job, _) in &jobs {
        scene.devnet.cancel_job(*job).expect("it runs");
    }
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s4_2_an_end_in_the_past_floods_nobody() {
    for heartbeats_too in [false, true] {
        let scene = Scene::new().await.serving(SPIN);
        let past = json!({"lease_expires_at": "2020-01-01T00:00:00Z"});
        scene.devnet.faults().add(Fault::merge(past.clone()).on(Endpoint::Lease));
        if heartbeats_too {
            scene.devnet.faults().add(Fault::merge(past).on(Endpoint::Heartbeat));
        }
        let node = scene.node();
        let (job, task) = scene.submit(SPIN.capability, &Value::Null, 1);
        scene.wait_for_running(task, &node).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(scene.devnet.heartbeats(task).len(), 1, "as if it lived a minute\n{}", node.log());
        scene.devnet.cancel_job(job).expect("it runs");
        drop(node);
    }
}

#[tokio::test]
async fn s4_3_reports_are_gathered_and_never_come_faster_than_the_jitter() {
    let scene = Scene::new().await.set("HEARTBEAT_JITTER_MS", 1000);
    let mut node = scene.node();
    let task = scene.submit_noop(Duration::from_millis(4500));
    let ended = scene.wait_for_end(task, &node).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
    let gaps = between(&scene.devnet.heartbeats(task));
    // The initial heartbeat carries no report, and the last one does not wait: the result is available.
    for gap in gaps.iter().skip(1).take(gaps.len().saturating_sub(2)) {
        assert!(*gap >= Duration::from_millis(950), "{gaps:?}");
    }
    // As many as there are jitters in the time that they span, which on a busy machine is longer than the task's 4.5 s, and the
    // two that do not wait.
    let most = gaps.iter().sum::<Duration>().as_secs() + 2;
    assert!((2..=most).contains(&(gaps.len() as u64)), "23 reports are few heartbeats: {gaps:?}");
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn s4_3_a_flood_of_reports_keeps_the_floor_and_the_order_and_is_counted() {
    let scene = Scene::new().await.set("HEARTBEAT_JITTER_MS", 0).serving(EVENT_FLOOD);
    let node = scene.node();
    let task = scene.submit(EVENT_FLOOD.capability, &Value::Null, 1).1;
    let ended = scene.wait_for_end(task, &node).await;
    assert_ended_once(&ended, &node);
    let beats = scene.devnet.heartbeats(task);
    let gaps = between(&beats);
    for gap in gaps.iter().skip(1).take(gaps.len().saturating_sub(2)) {
        assert!(*gap >= Duration::from_millis(240), "{gaps:?}");
    }
    let reason = &ended.failures[0].reason;
    let dropped: usize = reason.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a count");
    let arrived: Vec<u64> =
        beats.iter().flat_map(|beat| &beat.events).filter_map(|e| e["n"].as_u64()).collect();
    assert!(arrived.windows(2).all(|pair| pair[0] < pair[1]), "in order, and none twice: {arrived:?}");
    assert!(
        arrived.len() + dropped <= 5000 && dropped > 0 && !arrived.is_empty(),
        "{reason}: {}",
        arrived.len()
    );
    node.wait_for_log("more events than heartbeats could carry").await;
    scene.assert_goes_on(node).await;
}
