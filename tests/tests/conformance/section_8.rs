//! Section 8: configuration, as `config check` prints it.

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

#[tokio::test]
async fn s8_every_problem_is_told_at_once_with_what_is_allowed_and_the_node_does_not_start() {
    let mut scene = Scene::new().await;
    for (name, value) in [
        ("DMS_BASE_URL", "ftp://dms.example"),
        ("REQUEST_TIMEOUT_SECS", "0"),
        ("TOKEN_SAFETY_RATIO", "NaN"),
        ("HEARTBEAT_MIN_RATIO", "0.9"),
        ("HEARTBEAT_MAX_RATIO", "1.5"),
        ("POLL_BACKOFF_MS_MIN", "0"),
        ("POLL_BACKOFF_MS_MAX", "100"),
        ("REGISTER_MAX_RETRY", "-2"),
        ("MAX_CONCURRENCY", "0"),
        ("LOG_FORMAT", "xml"),
        ("SECP256K1_PRIVHEX", "0xhunter2"),
        ("ENABLE_NOOP", "yes"),
    ] {
        scene.variables.insert(name.to_owned(), value.to_owned());
    }
    for arguments in [&["config", "check"][..], &["run"]] {
        let mut node = NodeProcess::start(&node_binary(), arguments, &scene.variables);
        assert_eq!(node.wait().await, 2, "{}", node.log());
        node.wait_for_log("SECP256K1_PRIVHEX").await;
        let log = node.log();
        for name in [
            "DMS_BASE_URL",
            "REQUEST_TIMEOUT_SECS",
            "TOKEN_SAFETY_RATIO",
            "HEARTBEAT_MAX_RATIO",
            "POLL_BACKOFF_MS_MIN",
            "REGISTER_MAX_RETRY",
            "MAX_CONCURRENCY",
            "LOG_FORMAT",
            "ENABLE_NOOP",
        ] {
            assert!(log.contains(name), "{name} is missing:\n{log}");
        }
        assert!(!log.contains("hunter2"), "{log}");
    }
    assert!(scene.devnet.requests().is_empty(), "nobody was asked anything");
}

#[tokio::test]
async fn s8_values_are_trimmed_and_an_env_file_fills_in_what_is_not_set() {
    let mut scene = Scene::new().await;
    let secret = scene.variables.remove("REG_SECRET").expect("set");
    let file = scene.work().join("node.env");
    std::fs::write(
        &file,
        format!("REG_SECRET='  {secret} '\nMAX_CONCURRENCY=7\nDDS_BASE_URL=http://127.0.0.1:1\n"),
    )
    .expect("written");
    scene.variables.insert("MAX_CONCURRENCY".to_owned(), " 3 ".to_owned());
    let path = file.display().to_string();
    let mut check =
        NodeProcess::start(&node_binary(), &["config", "check", "--env-file", &path], &scene.variables);
    assert_eq!(check.wait().await, 0, "{}", check.log());
    check.wait_for_log("MAX_CONCURRENCY=3  # environment").await;
    let node = NodeProcess::start(&node_binary(), &["run", "--env-file", &path], &scene.variables);
    scene.wait_for_work_wanted(&node).await;
}
