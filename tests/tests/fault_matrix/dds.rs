//! Faults of DDS.

use std::time::Duration;

use posemesh_devnet::Endpoint::{SiweRequest, SiweVerify};
use posemesh_devnet::{DevnetConfig, Fault, TaskState, TaskStatus};
use posemesh_tests::{NodeProcess, Scene};

#[tokio::test]
async fn dds_down_at_start() {
    let (scene, mut node) = Scene::new()
        .await
        .while_down(async |variables| {
            let node = NodeProcess::run(variables);
            node.wait_for_log("registration.error").await;
            node
        })
        .await;
    let task = scene.submit_noop(Duration::from_millis(1));
    let ended = scene.wait_for_end(task, &node).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
    assert_eq!((ended.completions.len(), ended.failures.len(), ended.leases.len()), (1, 0, 1));
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

/// Runs a task of one second while these faults of DDS are active and tokens live for eight seconds.
async fn through(faults: impl IntoIterator<Item = Fault>) -> (Scene, NodeProcess) {
    let config = DevnetConfig { machine_token_ttl: Duration::from_secs(8), ..DevnetConfig::default() };
    let scene = Scene::with(config)
        .await
        .set("REQUEST_TIMEOUT_SECS", 2)
        .set("REGISTER_INTERVAL_SECS", 1)
        .set("TOKEN_REAUTH_JITTER_MS", 50);
    for fault in faults {
        scene.devnet.faults().add(fault);
    }
    let node = scene.node();
    let task = scene.submit_noop(Duration::from_secs(1));
    let ended = scene.wait_for_end(task, &node).await;
    assert_completed_once(&ended, &node);
    (scene, node)
}

fn assert_completed_once(ended: &TaskState, node: &NodeProcess) {
    assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
    assert_eq!((ended.completions.len(), ended.failures.len(), ended.leases.len()), (1, 0, 1));
}

#[tokio::test]
async fn dds_down_at_token_refresh() {
    let config = DevnetConfig { machine_token_ttl: Duration::from_secs(12), ..DevnetConfig::default() };
    // The token is due for renewal after one second, and valid for eleven more.
    let scene = Scene::with(config).await.set("TOKEN_SAFETY_RATIO", 0.08).set("TOKEN_REAUTH_JITTER_MS", 50);
    let node = scene.node();
    scene.wait_for_work_wanted(&node).await;
    let down = [SiweRequest, SiweVerify].map(|call| scene.devnet.faults().add(Fault::drop_before().on(call)));
    let task = scene.submit_noop(Duration::from_secs(4));
    let ended = scene.wait_for_end(task, &node).await;
    assert_completed_once(&ended, &node);
    let tried = scene.devnet.faults().hits(down[0]).unwrap_or_default();
    assert!((2..40).contains(&tried), "it tries again, with a back-off: {tried} times");
    scene.devnet.faults().clear();
    let logins = scene.devnet.logins().len();
    let renewed = || (scene.devnet.logins().len() > logins).then_some(());
    scene.wait_until("a renewed token", &node, renewed).await;
}

#[tokio::test]
async fn a_nonce_is_used_up_before_its_login_arrives() {
    // DDS accepts the login and consumes the nonce, but its answer is lost.
    let (scene, node) = through([Fault::drop_after().on(SiweVerify).times(1)]).await;
    let mut nonces = scene.devnet.nonces();
    let all = nonces.len();
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), all, "each try has a nonce of its own: {}", node.log());
}

#[tokio::test]
async fn a_login_is_refused_with_401_again_and_again() {
    let (scene, node) = through([Fault::answer(401, "nonce not found").on(SiweVerify).times(3)]).await;
    let nonces = scene.requests(SiweRequest).len();
    assert!(nonces > scene.requests(SiweVerify).len(), "a fresh nonce for each login: {}", node.log());
}

#[tokio::test]
async fn the_machine_token_is_revoked_mid_task() {
    let scene = Scene::new().await;
    let node = scene.node();
    let task = scene.submit_noop(Duration::from_secs(3));
    scene.wait_for_running(task, &node).await;
    let logins = scene.devnet.logins().len();
    scene.devnet.revoke_machine_tokens();
    let ended = scene.wait_for_end(task, &node).await;
    assert_completed_once(&ended, &node);
    assert!(scene.devnet.logins().len() > logins, "it has logged in again");
}

#[tokio::test]
async fn garbage_in_place_of_json() {
    through([Fault::garbage(200).on(SiweRequest).times(2), Fault::garbage(200).on(SiweVerify).times(1)])
        .await;
}

#[tokio::test]
async fn answers_come_slowly_or_too_late() {
    let slow = Fault::drip(8, Duration::from_millis(5)).on(SiweRequest).times(3);
    let late = Fault::delay_after(Duration::from_secs(4)).on(SiweVerify).times(1);
    through([slow, late]).await;
}

#[tokio::test]
async fn clocks_that_are_two_hours_apart() {
    for offset in [-7_200_000, 7_200_000] {
        let config = DevnetConfig { clock_offset_ms: offset, ..DevnetConfig::default() };
        let scene = Scene::with(config).await;
        let node = scene.node();
        let task = scene.submit_noop(Duration::from_millis(500));
        let ended = scene.wait_for_end(task, &node).await;
        assert_completed_once(&ended, &node);
        assert!(scene.devnet.logins().len() <= 3, "no flood of logins: {}", scene.devnet.logins().len());
    }
}
