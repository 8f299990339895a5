//! Limits of the process: the size of files, open files, address space, watches on folders.

use std::path::Path;

use std::time::Duration;

use posemesh_devnet::{DevnetConfig, Endpoint, TaskStatus};
use posemesh_tests::guests::COPY;
use posemesh_tests::{NodeProcess, Scene, TIMEOUT, http_client, node_binary, plugin};
use serde_json::json;

/// Starts a node through a shell that sets limits before.
fn node_after(scene: &Scene, limits: &str) -> NodeProcess {
    let script = format!("{limits}; exec {} run", node_binary().display());
    NodeProcess::start(Path::new("/bin/sh"), &["-c", &script], &scene.variables)
}

#[tokio::test]
async fn a_log_that_reaches_the_limit_on_file_sizes_ends_nothing() {
    let scene = Scene::new().await.set("RUST_LOG", "trace").set("STATUS_ADDR", "127.0.0.1:0");
    let path = scene.work().join("node.log");
    // Blocks of 512 bytes, as many as the compiled runner fits in with room to spare. Little of them is left to the log.
    let (blocks, left) = (8192, 64 << 10);
    std::fs::write(&path, vec![b'\n'; blocks * 512 - left]).expect("a log");
    let log = std::fs::File::options().append(true).open(&path).expect("a log");
    let script = format!("ulimit -f {blocks}; exec {} run", node_binary().display());
    let mut node =
        NodeProcess::with_log_to(log.into(), Path::new("/bin/sh"), &["-c", &script], &scene.variables);
    let length = || usize::try_from(std::fs::metadata(&path).expect("the log").len()).expect("a length");
    let deadline = tokio::time::Instant::now() + 2 * TIMEOUT;
    while length() < blocks * 512 {
        assert!(tokio::time::Instant::now() < deadline, "the log never reached its limit");
        let task = scene.submit_noop(Duration::ZERO);
        assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed);
    }
    for _ in 0..3 {
        let task = scene.submit_noop(Duration::ZERO);
        assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed);
    }
    assert_eq!(length(), blocks * 512, "not a byte more");
    assert_eq!(node.terminate().await, 0);
}

#[tokio::test]
async fn too_little_address_space_for_a_task_takes_no_lease_and_says_so() {
    let scene = Scene::new().await.set("STATUS_ADDR", "127.0.0.1:0");
    // In KiB: enough for the node and its compiler, not for the 4 GiB that an instance reserves.
    let mut node = node_after(&scene, "ulimit -v 4000000");
    let addr = node.status_addr().await;
    let task = scene.submit_noop(Duration::ZERO);
    node.wait_for_log("of address space are left to this process").await;
    let ready = http_client().get(format!("http://{addr}/ready")).send().await.expect("an answer");
    let missing = ready.text().await.expect("a body");
    assert!(missing.contains("ulimit -v"), "{missing}");
    let metrics = http_client().get(format!("http://{addr}/metrics")).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("a body");
    let shown = metrics.lines().any(|line| line.contains("cause=\"address_space\"") && line.ends_with(" 1"));
    assert!(shown, "{metrics}");
    assert_eq!(scene.requests(Endpoint::Lease).len(), 0, "{}", node.log());
    assert_eq!(scene.task(task).leases.len(), 0);
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn as_many_tasks_run_as_there_is_address_space_for() {
    let config = DevnetConfig { leases_per_node: 8, ..DevnetConfig::default() };
    let scene = Scene::with(config).await.set("MAX_CONCURRENCY", 8);
    // For a few instances of 4 GiB each, and not for eight.
    let mut node = node_after(&scene, "ulimit -v 16777216");
    let tasks: Vec<_> = (0..40).map(|_| scene.submit_noop(Duration::from_millis(300))).collect();
    for task in tasks {
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
        assert!(ended.failures.is_empty(), "{ended:?}: {}", node.log());
    }
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn idle_connections_do_not_keep_a_node_with_few_descriptors_from_leasing() {
    let scene = Scene::new().await.serving(COPY);
    // What a node holds that has had no task yet.
    let mut first = scene.node();
    for runner in ["copy", "noop"] {
        first.wait_for_live(runner).await;
    }
    scene.wait_for_work_wanted(&first).await;
    let held = std::fs::read_dir(format!("/proc/{}/fd", first.id())).expect("descriptors").count();
    assert_eq!(first.terminate().await, 0, "{}", first.log());
    // Enough for a task, and not for one beside the connections that it leaves behind.
    let mut node = node_after(&scene, &format!("ulimit -n {}", held + 33));
    let input = scene.devnet.put_data("input", "bin", b"bytes").await.expect("an input");
    let task = json!({"capability": COPY.capability, "inputs_cids": [input, input, input]});
    for round in 0..3 {
        let task = scene.submit_task(task.clone());
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!(ended.status, TaskStatus::Completed, "round {round}: {}", node.log());
    }
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn without_a_watch_on_its_folder_a_node_finds_a_new_runner_by_looking() {
    let scene = Scene::new().await;
    let noop = scene.plugins().join("noop.wasm");
    std::fs::remove_file(&noop).expect("removed");
    // In a user namespace of its own the node may have no watch at all.
    let script = format!(
        "exec unshare --user --map-root-user sh -c 'echo 0 > /proc/sys/user/max_inotify_instances && exec {} run'",
        node_binary().display()
    );
    let mut variables = scene.variables.clone();
    variables.insert("PATH".to_owned(), std::env::var("PATH").expect("PATH"));
    let node = NodeProcess::start(Path::new("sh"), &["-c", &script], &variables);
    node.wait_for_log("PLUGINS_DIR can't be watched").await;
    std::fs::copy(plugin("noop"), &noop).expect("copied");
    let task = scene.submit_noop(Duration::ZERO);
    assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed, "{}", node.log());
    scene.assert_goes_on(node).await;
}
