//! Section 3.2: requests for a lease, and every possible answer.

use std::time::Duration;

use posemesh_devnet::{DevnetConfig, Endpoint, Fault, TaskStatus};
use posemesh_tests::{NOOP, Scene, assert_ended_once, gaps, leases_of};
use reqwest::header::{LOCATION, RETRY_AFTER};
use serde_json::json;

const SHORTEST: Duration = Duration::from_millis(200);

/// A scene whose polls are 200 to 800 ms apart.
async fn slow() -> Scene {
    Scene::new().await.set("POLL_BACKOFF_MS_MIN", 200).set("POLL_BACKOFF_MS_MAX", 800)
}

#[tokio::test]
async fn s3_2_after_204_the_node_asks_again_after_an_idle_wait() {
    let scene = slow().await;
    let mut node = scene.node();
    let polls = scene.wait_for(Endpoint::Lease, 6, &node).await;
    assert!(polls[..5].iter().all(|poll| poll.status == Some(204)), "{polls:?}");
    assert!(gaps(&polls).iter().all(|gap| *gap >= SHORTEST), "{:?}", gaps(&polls));
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn s3_2_a_409_is_no_error_and_waits_like_no_work() {
    let scene = slow().await;
    let fault = scene.devnet.faults().add(Fault::answer(409, "busy").on(Endpoint::Lease).times(3));
    let node = scene.node();
    let polls = scene.wait_for_hits(fault, 3, &node).await;
    assert!(gaps(&polls).iter().all(|gap| *gap >= SHORTEST), "{:?}", gaps(&polls));
    assert!(!node.log().contains("could not ask for work"), "{}", node.log());
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_2_a_409_while_a_lease_of_ours_lives_waits_for_its_end() {
    // The server gives a node one lease; the node has two workers.
    let scene = slow().await.set("MAX_CONCURRENCY", 2).set("POLL_BACKOFF_MS_MAX", 30_000);
    let mut node = scene.node();
    let first = scene.submit_noop(Duration::from_secs(3));
    scene.wait_for_running(first, &node).await;
    let second = scene.submit_noop(Duration::ZERO);
    let ended = scene.wait_for_end(second, &node).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
    let done = &scene.requests(Endpoint::Complete)[0];
    let polls = scene.requests(Endpoint::Lease);
    let busy = polls.iter().filter(|poll| poll.seq < done.seq && poll.status == Some(409)).count();
    assert_eq!(busy, 1, "it is refused once as busy, and then waits for its own worker");
    let next = scene.wait_for_after(Endpoint::Lease, done.seq, &node).await;
    assert!(next.at - done.at < Duration::from_secs(20), "and asks when it is free, not in 30 s");
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn s3_2_any_other_status_backs_off_and_goes_on() {
    let scene = slow().await;
    let node = scene.node();
    let mut last = scene.wait_for_work_wanted(&node).await.seq;
    for status in [302, 400, 404, 408, 410, 422, 429, 500, 502, 503, 504] {
        // A good answer in between starts the back-off over.
        let good =
            || scene.requests(Endpoint::Lease).into_iter().find(|r| r.seq > last && r.status == Some(204));
        scene.wait_until("a good answer", &node, good).await;
        let fault = scene.devnet.faults().add(Fault::answer(status, "no").on(Endpoint::Lease).times(3));
        let to = "/internal/v1/elsewhere".parse().expect("a value");
        scene.devnet.faults().add(Fault::header(LOCATION, to).on(Endpoint::Lease).times(3));
        let polls = scene.wait_for_hits(fault, 3, &node).await;
        let next = scene.wait_for_after(Endpoint::Lease, polls[2].seq, &node).await;
        let waits = [polls[1].at - polls[0].at, polls[2].at - polls[1].at, next.at - polls[2].at];
        // 200 to 400, 400 to 800, 400 to 800; a loaded machine is late, never early.
        for (wait, least) in waits.iter().zip([200, 400, 400]) {
            assert!(*wait >= Duration::from_millis(least), "{status}: {waits:?}");
        }
        let logins = scene.requests(Endpoint::SiweVerify).len();
        assert_eq!(logins, 1, "{status} says nothing against the token");
        let elsewhere = |path: &str| path.contains("elsewhere");
        assert!(!scene.devnet.requests().iter().any(|request| elsewhere(&request.path)), "{status}");
        last = polls[2].seq;
    }
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_2_a_retry_after_is_kept() {
    let scene = Scene::new().await;
    let fault = scene.devnet.faults().add(Fault::answer(429, "slow down").on(Endpoint::Lease).times(1));
    let seconds = "2".parse().expect("a value");
    scene.devnet.faults().add(Fault::header(RETRY_AFTER, seconds).on(Endpoint::Lease).times(1));
    let node = scene.node();
    let refused = scene.wait_for_hits(fault, 1, &node).await.remove(0);
    let next = scene.wait_for_after(Endpoint::Lease, refused.seq, &node).await;
    assert!(next.at - refused.at >= Duration::from_secs(2), "{:?}", next.at - refused.at);
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_2_a_403_registers_the_node_again() {
    let scene = Scene::new().await;
    scene.devnet.faults().add(Fault::answer(403, "unknown node").on(Endpoint::Lease).times(1));
    let node = scene.node();
    scene.wait_for(Endpoint::RegisterWallet, 2, &node).await;
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_2_a_lease_that_can_be_read_no_further_than_its_task_is_failed_at_once() {
    let bad = [
        json!({"task": {"capability": 7}}),
        json!({"task": {"inputs_cids": "not a list"}}),
        json!({"cancel": "yes"}),
        json!({"domain_id": "not a uuid"}),
    ];
    for patch in bad {
        let scene = Scene::new().await;
        scene.devnet.faults().add(Fault::merge(patch.clone()).on(Endpoint::Lease).times(1));
        let node = scene.node();
        let task = scene.submit(NOOP, &json!({"sleep_ms": 0}), 2).1;
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!(ended.status, TaskStatus::Completed, "with its second lease: {}", node.log());
        assert_ended_once(&ended, &node);
        let failure = &ended.failures[0];
        assert_eq!(failure.reason, "node_setup_failed");
        assert_eq!(failure.details["stage"], "start_session", "{}", failure.details);
        assert_eq!(scene.words_about(task)[0], "fail", "without a heartbeat before");
        scene.assert_goes_on(node).await;
    }
}

#[tokio::test]
async fn s3_3_a_lease_over_4_mib_is_failed_at_once_instead_of_waiting_out_its_ttl() {
    let scene = Scene::with(leases_of(Duration::from_secs(300))).await;
    for large in [json!({"aaa": "x".repeat(5 << 20)}), json!({"task": {"zzz": "x".repeat(5 << 20)}})] {
        scene.devnet.faults().add(Fault::merge(large).on(Endpoint::Lease).times(1));
        let node = scene.node();
        let task = scene.submit(NOOP, &json!({"sleep_ms": 0}), 1).1;
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!((ended.status, ended.expired_leases), (TaskStatus::Failed, 0), "{}", node.log());
        assert_ended_once(&ended, &node);
        let error = ended.failures[0].details["error"].as_str().expect("a text");
        assert!(error.contains("more than 4194304 bytes"), "{error}");
        scene.assert_goes_on(node).await;
    }
}

#[tokio::test]
async fn s3_1_a_dms_that_takes_no_token_is_asked_ever_more_rarely() {
    let scene = Scene::new().await;
    scene.devnet.faults().add(Fault::answer(401, "unknown token").on(Endpoint::Lease));
    let node = scene.node();
    node.wait_for_log("DMS takes no token that DDS gives").await;
    let logins = scene.wait_for(Endpoint::SiweVerify, 4, &node).await;
    let waits = [logins[2].at - logins[1].at, logins[3].at - logins[2].at];
    assert!(waits[0] >= Duration::from_millis(2400) && waits[1] >= Duration::from_millis(4900), "{waits:?}");
    scene.devnet.faults().clear();
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn s3_2_a_2xx_that_names_no_task_backs_off_and_the_lease_expires() {
    let config = DevnetConfig {
        lease_ttl: Duration::from_secs(1),
        sweep_interval: Duration::from_millis(100),
        ..DevnetConfig::default()
    };
    let scene = Scene::with(config).await;
    let fault = scene.devnet.faults().add(Fault::garbage(200).on(Endpoint::Lease).times(1));
    let task = scene.submit_noop(Duration::ZERO);
    let node = scene.node();
    let ended = scene.wait_for_end(task, &node).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
    assert_ended_once(&ended, &node);
    assert_eq!((scene.hit_by(fault).len(), ended.expired_leases), (1, 1), "{ended:?}");
    assert!(!node.log().contains("panicked"), "{}", node.log());
    scene.assert_goes_on(node).await;
}
