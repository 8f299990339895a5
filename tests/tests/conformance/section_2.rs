//! Section 2: the token manager.

use std::time::Duration;

use posemesh_devnet::{DevnetConfig, Endpoint};
use posemesh_tests::{Scene, gaps};

#[tokio::test]
async fn s2_a_token_is_renewed_after_the_safe_part_of_its_life() {
    let config = DevnetConfig { machine_token_ttl: Duration::from_secs(6), ..DevnetConfig::default() };
    let scene = Scene::with(config).await.set("TOKEN_SAFETY_RATIO", 0.5).set("TOKEN_REAUTH_JITTER_MS", 100);
    let node = scene.node();
    let logins = scene.wait_for(Endpoint::SiweVerify, 3, &node).await;
    for gap in gaps(&logins) {
        // Half of six seconds, a tenth of a second more or less; a loaded machine is late, never early.
        assert!(gap >= Duration::from_millis(2800), "{gap:?}\n{}", node.log());
        assert!(gap < Duration::from_millis(5900), "before it expires, not after {gap:?}\n{}", node.log());
    }
}
