//! Failures on the whole path of a task: each ends with a clear message and, if there is a task, with one `fail`
//! that gives the reason; the node still works.

use std::path::Path;
use std::time::Duration;

use posemesh_devnet::{Devnet, DevnetConfig, TaskState, TaskStatus};
use posemesh_tests::guests::{PANIC, PORTS, TRAP};
use posemesh_tests::{NOOP, NodeProcess, node_binary, plugin, plugins_with, variables};
use serde_json::{Value, json};
use uuid::Uuid;

const TIMEOUT: Duration = Duration::from_secs(120);

/// Runs one task on a node with these components, and then the noop runner on the same node.
async fn fail_once(
    component: &Path,
    capability: &str,
    inputs: &[String],
    meta: Value,
) -> (TaskState, String) {
    let devnet = Devnet::start(DevnetConfig::default()).await.expect("a devnet");
    let plugins = plugins_with(&[component, &plugin("noop")]);
    let work = tempfile::tempdir().expect("a folder");
    let mut variables = variables(&devnet, plugins.path(), work.path());
    variables.insert("ENABLE_NOOP".to_owned(), "true".to_owned());
    let mut node = NodeProcess::run(&variables);
    let submit = |capability: &str, inputs: &[String], meta: &Value| {
        let task = json!({"label": "t", "stage": "t", "capability": capability, "inputs_cids": inputs,
                          "meta": meta, "max_attempts": 1});
        devnet.submit_job(json!({"label": "failures", "tasks": [task]})).expect("a job").tasks[0]
    };
    let task = submit(capability, inputs, &meta);
    let ended = devnet.wait_for_task_end(task, TIMEOUT).await;
    let ended = ended.unwrap_or_else(|error| panic!("{error}; the node printed:\n{}", node.log()));
    assert_eq!(ended.status, TaskStatus::Failed, "{}", node.log());
    assert_eq!((ended.failures.len(), ended.completions.len()), (1, 0), "exactly one end");

    let next = submit(NOOP, &[], &json!({"sleep_ms": 1}));
    let next = devnet.wait_for_task_end(next, TIMEOUT).await.expect("the node goes on");
    assert_eq!(next.status, TaskStatus::Completed, "{}", node.log());
    assert_eq!(node.terminate().await, 0);
    devnet.shutdown().await;
    (ended, node.log())
}

fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[tokio::test]
async fn a_runner_that_traps_fails_the_task_with_its_backtrace() {
    let (ended, _) = fail_once(&TRAP.path(), TRAP.capability, &[], Value::Null).await;
    let failure = &ended.failures[0];
    assert_contains(&failure.reason, &["runner failed: ", "unreachable"]);
    let details = failure.details.to_string();
    assert_contains(&details, &["backtrace", "abort", "trap 0.1.0"]);
}

#[tokio::test]
async fn a_runner_that_panics_fails_the_task_with_its_message() {
    let (ended, _) = fail_once(&PANIC.path(), PANIC.capability, &[], Value::Null).await;
    assert_contains(&ended.failures[0].reason, &["the scan is upside down"]);
}

#[tokio::test]
async fn an_input_that_does_not_exist_fails_the_task_and_is_named() {
    let missing = Uuid::new_v4().to_string();
    let pointcloud = plugin("pointcloud");
    let inputs = [missing.clone()];
    let (ended, _) = fail_once(&pointcloud, "/posemesh/pointcloud/v1", &inputs, Value::Null).await;
    assert_contains(&ended.failures[0].reason, &[&missing]);
}

#[tokio::test]
async fn an_input_of_another_domain_is_refused_and_nobody_asks_its_server() {
    let foreign = Devnet::start(DevnetConfig::default()).await.expect("a second devnet");
    let data = foreign.put_data("scan", "ply", b"ply\n".to_vec()).await.expect("stored");
    let inputs = [foreign.data_url(data)];
    let pointcloud = plugin("pointcloud");
    let (ended, _) = fail_once(&pointcloud, "/posemesh/pointcloud/v1", &inputs, Value::Null).await;
    assert_contains(&ended.failures[0].reason, &["names the domain", "refused"]);
    assert!(foreign.requests().is_empty(), "nothing was sent there: {:?}", foreign.requests());
    foreign.shutdown().await;
}

#[tokio::test]
async fn a_wrong_parameter_fails_the_task_and_is_named() {
    let pointcloud = plugin("pointcloud");
    let meta = json!({"voxel_size": -1});
    let (ended, _) = fail_once(&pointcloud, "/posemesh/pointcloud/v1", &["x".to_owned()], meta).await;
    assert_contains(&ended.failures[0].reason, &["voxel_size"]);
}

#[tokio::test]
async fn files_that_are_no_components_are_refused_by_name_and_the_others_serve() {
    let devnet = Devnet::start(DevnetConfig::default()).await.expect("a devnet");
    let plugins = plugins_with(&[plugin("pointcloud")]);
    let whole = std::fs::read(plugin("noop")).expect("the noop runner");
    let write = |name: &str, bytes: &[u8]| std::fs::write(plugins.path().join(name), bytes).expect("written");
    write("text.wasm", b"#!/bin/sh\n");
    write("core.wasm", b"\0asm\x01\0\0\0");
    write("truncated.wasm", &whole[..whole.len() / 2]);
    write("empty.wasm", b"");
    let work = tempfile::tempdir().expect("a folder");
    let mut node = NodeProcess::run(&variables(&devnet, plugins.path(), work.path()));
    devnet
        .wait_until(TIMEOUT, "a registration", || {
            let all = devnet.registrations();
            all.first().map(|registration| registration.capabilities.clone())
        })
        .await
        .map(|capabilities| assert_eq!(capabilities, ["/posemesh/pointcloud/v1"]))
        .unwrap_or_else(|error| panic!("{error}\n{}", node.log()));
    let log = node.log();
    assert_contains(
        &log,
        &["text.wasm is not a WebAssembly component", "core module", "truncated.wasm does not compile"],
    );
    assert_contains(&log, &["empty.wasm is not a WebAssembly component: it is empty"]);
    assert_eq!(node.terminate().await, 0);
    devnet.shutdown().await;
}

#[tokio::test]
async fn a_capability_without_a_runner_is_never_leased() {
    let devnet = Devnet::start(DevnetConfig::default()).await.expect("a devnet");
    let work = tempfile::tempdir().expect("a folder");
    // The noop runner is installed, but ENABLE_NOOP is not set.
    let plugins = plugins_with(&[plugin("noop"), PORTS.path()]);
    let mut node = NodeProcess::run(&variables(&devnet, plugins.path(), work.path()));
    let task = json!({"label": "t", "stage": "t", "capability": NOOP});
    let job = devnet.submit_job(json!({"label": "none", "tasks": [task]})).expect("a job");
    devnet
        .wait_for_request(TIMEOUT, |request| request.path.ends_with("/tasks") && request.status == Some(204))
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", node.log()));
    assert_eq!(devnet.task(job.tasks[0]).expect("the task").status, TaskStatus::Queued);
    assert_eq!(devnet.registrations()[0].capabilities, [PORTS.capability]);
    assert_eq!(node.terminate().await, 0);
    devnet.shutdown().await;
}

#[tokio::test]
async fn a_wrong_configuration_names_every_problem_and_prints_no_secret() {
    let secret = "not-hex-but-secret-all-the-same";
    let variables = [
        ("SECP256K1_PRIVHEX", secret),
        ("REQUEST_TIMEOUT_SECS", "0"),
        ("DMS_BASE_URL", "ftp://example.com"),
        ("HEARTBEAT_MIN_RATIO", "NaN"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    for args in [&["run"][..], &["config", "check"]] {
        let mut node = NodeProcess::start(&node_binary(), args, &variables);
        assert_eq!(node.wait().await, 2, "{}", node.log());
        node.wait_for_log("REQUEST_TIMEOUT_SECS").await;
        let log = node.log();
        assert_contains(
            &log,
            &["SECP256K1_PRIVHEX", "DMS_BASE_URL", "HEARTBEAT_MIN_RATIO", "REG_SECRET", "PLUGINS_DIR"],
        );
        assert!(!log.contains(secret), "{log}");
    }
}
