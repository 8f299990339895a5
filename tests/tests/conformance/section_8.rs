//! Section 8: configuration, as `config check` prints it.

use posemesh_tests::{NodeProcess, Scene, node_binary};

#[tokio::test]
async fn s8_config_check_prints_every_variable_with_its_source_and_no_secret() {
    let scene = Scene::new().await;
    let mut check = NodeProcess::start(&node_binary(), &["config", "check"], &scene.variables);
    assert_eq!(check.wait().await, 0, "{}", check.log());
    check.wait_for_log("LEGACY_HTTP_ADDR=off").await;
    let log = check.log();
    let (set, default) = log.split_once("# default\n").expect("what nobody set comes last");
    assert!(
        default.contains("LEGACY_HTTP_ADDR=off\n") && default.contains("# MEMORY_BUDGET=by the machine\n"),
        "{log}"
    );
    assert!(set.starts_with("# environment\n"), "{log}");
    assert!(set.contains(&format!("\nDDS_BASE_URL={}/\n", scene.devnet.dds_url())), "{log}");
    assert!(set.contains("\n# REG_SECRET=[redacted]\n"), "{log}");
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
    check.wait_for_log("MAX_CONCURRENCY=3").await;
    let log = check.log();
    let (environment, file) =
        log.split_once(&format!("# env file {path}\n")).expect("what comes from the file");
    assert!(
        environment.contains("\nMAX_CONCURRENCY=3\n") && file.contains("# REG_SECRET=[redacted]\n"),
        "{log}"
    );
    let node = NodeProcess::start(&node_binary(), &["run", "--env-file", &path], &scene.variables);
    scene.wait_for_work_wanted(&node).await;
}

#[tokio::test]
async fn s8_what_config_check_prints_is_a_file_that_it_reads() {
    let scene = Scene::new().await.set("CLIENT_ID", "\"quoted\" 'client' # 7").set("MEMORY_BUDGET", "2GiB");
    let check = async |arguments: &[&str], variables| {
        let mut check = NodeProcess::start(&node_binary(), arguments, variables);
        assert_eq!(check.wait().await, 0, "{}", check.log());
        // The last of the notes.
        check.wait_for_log("# sandbox").await;
        check.log()
    };
    let printed = check(&["config", "check"], &scene.variables).await;
    let file = scene.work().join("printed.env");
    std::fs::write(&file, &printed).expect("written");
    let secrets = ["REG_SECRET", "SECP256K1_PRIVHEX"];
    let variables = secrets.map(|name| (name.to_owned(), scene.variables[name].clone())).into();
    let path = file.display().to_string();
    let again = check(&["config", "check", "--env-file", &path], &variables).await;
    let lines = |text: &str| {
        let mut lines: Vec<String> =
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(&printed), lines(&again));
    assert!(lines(&again).len() > 50, "{again}");
}

#[tokio::test]
async fn s8_what_can_not_work_here_is_called_by_its_name() {
    let scene = Scene::new()
        .await
        .set("PLUGINS_DIR", "/nowhere")
        .set("WORK_DIR", "/dev/null")
        .set("STATUS_ADDR", "192.0.2.1:8090")
        .set("AUDIT_LOG", "/nowhere/audit.log");
    let mut check = NodeProcess::start(&node_binary(), &["config", "check"], &scene.variables);
    assert_eq!(check.wait().await, 2, "{}", check.log());
    for line in [
        "error: PLUGINS_DIR=/nowhere: there is no such folder; make it",
        "error: WORK_DIR=/dev/null: it is a device, not a folder; name a folder",
        "error: STATUS_ADDR=192.0.2.1:8090: 192.0.2.1 is no address of this machine; 127.0.0.1",
        "error: AUDIT_LOG=/nowhere/audit.log: there is no folder /nowhere; name a file",
    ] {
        check.wait_for_log(line).await;
    }
}
