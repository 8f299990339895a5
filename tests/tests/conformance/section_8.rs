//! Section 8: configuration, as `config check` tells it.

use posemesh_tests::{NodeProcess, Scene, node_binary};

#[tokio::test]
async fn s8_config_check_prints_every_variable_with_its_source_and_no_secret() {
    let scene = Scene::new().await;
    let mut check = NodeProcess::start(&node_binary(), &["config", "check"], &scene.variables);
    assert_eq!(check.wait().await, 0, "{}", check.log());
    check.wait_for_log("LEGACY_HTTP_ADDR=off  # default").await;
    let log = check.log();
    assert!(log.contains(&format!("DDS_BASE_URL={}/  # environment", scene.devnet.dds_url())), "{log}");
    assert!(log.contains("REG_SECRET=[redacted]"), "{log}");
    for name in ["REG_SECRET", "SECP256K1_PRIVHEX"] {
        assert!(!log.contains(&scene.variables[name]), "{name} is shown:\n{log}");
    }
}
