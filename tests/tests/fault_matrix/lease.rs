//! Invalid leases, and clocks that disagree about their end.

use std::time::Duration;

use posemesh_devnet::Endpoint::{Heartbeat, Lease};
use posemesh_devnet::{DevnetConfig, Endpoint, Fault, TaskStatus};
use posemesh_tests::{NOOP, Scene, assert_ended_once, leases_of};
use serde_json::json;

use crate::dms::{REQUEST_TIMEOUT, TTL, assert_completed_with_one_lease, through};

/// Runs a task with a fault on its first lease, of which the node does not learn by it. Until that lease expires, the server
/// answers that the node is busy.
async fn first_lease(fault: Fault) {
    let scene = Scene::with(leases_of(TTL)).await.set("REQUEST_TIMEOUT_SECS", REQUEST_TIMEOUT.as_secs());
    let task = scene.submit(NOOP, &json!({"sleep_ms": 0}), 3).1;
    let fault = scene.devnet.faults().add(fault.on(Lease).times(1));
    let node = scene.node();
    let hit = || scene.hit_by(fault).first().cloned();
    let hit = scene.wait_until("a request that the fault was applied to", &node, hit).await;
    scene.wait_for_after(Lease, hit.seq, &node).await;
    assert!(scene.devnet.expire_lease(task), "the lease that the node does not know of: {}", node.log());
    let ended = scene.wait_for_end(task, &node).await;
    assert_eq!((ended.status, ended.leases.len()), (TaskStatus::Completed, 2), "{}", node.log());
    assert_ended_once(&ended, &node);
    assert_eq!((ended.expired_leases, scene.hit_by(fault).len()), (1, 1), "{ended:?}");
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn a_lease_comes_too_slowly() {
    // 300 bytes arrive in time, without the task's id.
    first_lease(Fault::drip(20, Duration::from_millis(200))).await;
}

#[tokio::test]
async fn garbage_in_place_of_a_lease() {
    first_lease(Fault::garbage(500)).await;
}

#[tokio::test]
async fn the_request_for_work_times_out_after_the_server_gave_a_lease() {
    first_lease(Fault::delay_after(REQUEST_TIMEOUT + Duration::from_secs(1))).await;
}

#[tokio::test]
async fn the_connection_is_reset_after_the_server_gave_a_lease() {
    first_lease(Fault::drop_after()).await;
}

#[tokio::test]
async fn a_lease_is_cut_off_after_its_task_is_named() {
    let scene = Scene::with(leases_of(Duration::from_secs(60))).await;
    let node = scene.node();
    scene.wait_for_work_wanted(&node).await;
    // The length of the envelope depends on the tokens, so the place to cut is found by trying.
    for cut in [900, 1000, 1100, 1200, 1300, 1400] {
        let fault = scene.devnet.faults().add(Fault::truncate(cut).on(Lease));
        let task = scene.submit(NOOP, &json!({"sleep_ms": 0}), 1).1;
        let leased = || scene.hit_by(fault).into_iter().find(|request| request.status == Some(200));
        let leased = scene.wait_until("a lease", &node, leased).await;
        // The one worker that there is reports before it asks for work again.
        scene.wait_for_after(Lease, leased.seq, &node).await;
        scene.devnet.faults().remove(fault);
        if scene.words_about(task).contains(&"fail".to_owned()) {
            let ended = scene.wait_for_end(task, &node).await;
            assert_eq!(ended.failures[0].reason, "node_setup_failed", "{ended:?}");
            assert_ended_once(&ended, &node);
            scene.assert_goes_on(node).await;
            return;
        }
        scene.devnet.expire_lease(task);
    }
    panic!("no cut left the task's id:\n{}", node.log());
}

#[tokio::test]
async fn a_lease_without_a_domain_server_url() {
    let no_url = || Fault::merge(json!({"domain_server_url": null}));
    let ended = through([no_url().on(Lease).times(1), no_url().on(Heartbeat).times(1)]).await;
    assert_eq!((ended.status, ended.leases.len()), (TaskStatus::Completed, 2), "{ended:?}");
    assert_eq!(ended.failures[0].details["stage"], "build_ports");
}

#[tokio::test]
async fn a_lease_past_its_expiry() {
    let past = || Fault::merge(json!({"lease_expires_at": "2020-01-01T00:00:00Z"}));
    assert_completed_with_one_lease(&through([past().on(Lease), past().on(Heartbeat)]).await);
}

#[tokio::test]
async fn clocks_that_are_two_hours_apart() {
    for hours in [-2, 2] {
        let config = DevnetConfig { clock_offset_ms: hours * 3_600_000, ..leases_of(Duration::from_secs(4)) };
        let scene = Scene::with(config).await;
        let node = scene.node();
        // Longer than the lease: heartbeats must renew it in time, and must not be a flood.
        let task = scene.submit_noop(Duration::from_secs(6));
        let ended = scene.wait_for_end(task, &node).await;
        assert_completed_with_one_lease(&ended);
        assert_ended_once(&ended, &node);
        let logins = scene.requests(Endpoint::SiweVerify).len();
        assert_eq!(logins, 1, "{hours} h: a machine token of 300 s is renewed after 225 s\n{}", node.log());
        scene.assert_goes_on(node).await;
    }
}
