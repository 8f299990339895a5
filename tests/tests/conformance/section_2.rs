//! Section 2: the token manager.

use std::time::Duration;

use posemesh_devnet::{DevnetConfig, Endpoint, Fault};
use posemesh_tests::{Scene, gaps};

#[tokio::test]
async fn s2_a_token_is_renewed_after_the_safe_part_of_its_life() {
    let config = DevnetConfig { machine_token_ttl: Duration::from_secs(16), ..DevnetConfig::default() };
    let scene = Scene::with(config).await.set("TOKEN_SAFETY_RATIO", 0.25).set("TOKEN_REAUTH_JITTER_MS", 100);
    let node = scene.node();
    let logins = scene.wait_for(Endpoint::SiweVerify, 3, &node).await;
    for gap in gaps(&logins) {
        // A quarter of 16 seconds, a tenth of a second more or less; a loaded machine is late, never early.
        assert!(gap >= Duration::from_millis(3800), "{gap:?}\n{}", node.log());
        assert!(gap < Duration::from_millis(15_900), "before it expires, not after {gap:?}\n{}", node.log());
    }
}

#[tokio::test]
async fn s2_a_refused_token_is_replaced_by_one_login_however_many_wait() {
    let scene = Scene::new().await.set("MAX_CONCURRENCY", 4).set("TOKEN_REAUTH_JITTER_MS", 50);
    let node = scene.node();
    let tasks: Vec<_> = (0..4).map(|_| scene.submit_noop(Duration::from_secs(3))).collect();
    for task in &tasks {
        scene.wait_for_running(*task, &node).await;
    }
    let logins = scene.devnet.logins().len();
    scene.devnet.revoke_machine_tokens();
    for task in tasks {
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!((ended.completions.len(), ended.leases.len()), (1, 1), "{}", node.log());
    }
    assert_eq!(scene.devnet.logins().len(), logins + 1, "single flight: {}", node.log());
}

#[tokio::test]
async fn s2_failed_logins_are_tried_again_with_a_back_off() {
    let scene = Scene::new().await.set("TOKEN_REAUTH_JITTER_MS", 100);
    scene.devnet.faults().add(Fault::answer(503, "not now").on(Endpoint::SiweVerify).times(4));
    let node = scene.node();
    scene.wait_for_work_wanted(&node).await;
    assert_eq!(scene.requests(Endpoint::SiweVerify).len(), 5, "{}", node.log());
}
