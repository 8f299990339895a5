//! What was decided outlives the node: a rollback and an open circuit breaker of a runner, a pause of the node's own, and one
//! that an operator asked for.

use posemesh_devnet::{Endpoint, TaskStatus};
use posemesh_tests::guests::DATA;
use posemesh_tests::versions::{Does, capability, put, versioned};
use posemesh_tests::{NodeProcess, Scene, TIMEOUT};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};
use uuid::Uuid;

use crate::fixture::{command, get, printed, scene};

/// What the node says of its runner `swap`, once it satisfies a condition.
async fn swap_once(node: &NodeProcess, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let text = get(node, "api/plugins").await;
        let told: Value = serde_json::from_str(&text).unwrap_or_default();
        let runners = told["plugins"].as_array().or(told.as_array()).cloned().unwrap_or_default();
        let swap = runners.into_iter().find(|runner| runner["name"] == "swap");
        if let Some(swap) = swap.as_ref().filter(|swap| is_so(swap)) {
            return swap.clone();
        }
        assert!(Instant::now() < deadline, "it never {what}: {swap:#?}; {text}\n{}", node.log());
        sleep(Duration::from_millis(100)).await;
    }
}

/// The version of the generation in this stage.
fn version<'a>(swap: &'a Value, stage: &str) -> Option<&'a str> {
    let generations = swap["generations"].as_array()?;
    generations.iter().find(|generation| generation["stage"] == stage)?["version"].as_str()
}

fn submit(scene: &Scene, fail: bool) -> Uuid {
    let meta = json!({"sleep_ms": 1, "fail": u8::from(fail)});
    scene.submit_task(json!({"capability": capability(3), "meta": meta, "max_attempts": 1}))
}

/// The version that has worked on one more task.
async fn worked_on_by(scene: &Scene, node: &NodeProcess) -> String {
    let ended = scene.wait_for_end(submit(scene, false), node).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
    ended.progress["ended"].as_str().expect("a version").to_owned()
}

/// A node whose second version was rolled back.
async fn rolled_back(scene: &Scene) -> NodeProcess {
    put(&scene.plugins(), "swap.wasm", &versioned(1_000_001, Does::Work, 3));
    let node = scene.node();
    swap_once(&node, "went live", |swap| version(swap, "live") == Some("1.0.1000001")).await;
    put(&scene.plugins(), "swap.wasm", &versioned(1_000_002, Does::Work, 3));
    swap_once(&node, "was replaced", |swap| version(swap, "live") == Some("1.0.1000002")).await;
    let output = command(scene, &["plugin", "rollback", "swap"]).await;
    assert!(output.status.success(), "{}", printed(&output));
    assert_eq!(worked_on_by(scene, &node).await, "1.0.1000001");
    node
}

/// What the node notes of its runners.
fn remembered(scene: &Scene) -> String {
    let entries = std::fs::read_dir(&scene.variables["WORK_DIR"]).expect("a folder").flatten();
    let mut file = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("runners-"));
    file.next().and_then(|file| std::fs::read_to_string(file.path()).ok()).unwrap_or_default()
}

#[tokio::test]
async fn a_rollback_outlives_a_restart_and_the_version_before_serves_on_from_the_cache() {
    let scene = scene().await;
    let mut node = rolled_back(&scene).await;
    assert_eq!(node.terminate().await, 0);
    for _ in 0..2 {
        let mut node = scene.node();
        let serves = |swap: &Value| version(swap, "live") == Some("1.0.1000001");
        let swap = swap_once(&node, "served again", serves).await;
        assert_eq!(version(&swap, "previous"), Some("1.0.1000002"), "{swap:#?}");
        let why = swap["refused"]["reason"].as_str().expect("a reason");
        assert!(why.contains("rolled back") && why.contains("a restart does not undo that"), "{why}");
        assert_eq!(worked_on_by(&scene, &node).await, "1.0.1000001");
        // Nor does a look.
        // It says with its exit code that a file does not serve.
        let output = command(&scene, &["plugin", "rescan"]).await;
        assert!(printed(&output).contains("a restart does not undo that"), "{}", printed(&output));
        assert_eq!(worked_on_by(&scene, &node).await, "1.0.1000001");
        assert_eq!(node.terminate().await, 0);
    }
    // The operator may want it after all.
    let mut node = scene.node();
    swap_once(&node, "served again", |swap| version(swap, "live") == Some("1.0.1000001")).await;
    let output = command(&scene, &["plugin", "rollback", "swap"]).await;
    assert!(output.status.success(), "{}", printed(&output));
    assert_eq!(worked_on_by(&scene, &node).await, "1.0.1000002");
    assert_eq!(node.terminate().await, 0);
    let mut node = scene.node();
    swap_once(&node, "served on", |swap| version(swap, "live") == Some("1.0.1000002")).await;
    assert_eq!(node.terminate().await, 0);
}

#[tokio::test]
async fn a_version_that_was_rolled_back_is_not_live_after_a_kill_though_the_cache_is_gone() {
    let scene = scene().await;
    let mut node = rolled_back(&scene).await;
    node.kill().await;
    std::fs::remove_dir_all(&scene.variables["CACHE_DIR"]).expect("removed");
    let mut node = scene.node();
    let held = |swap: &Value| version(swap, "previous") == Some("1.0.1000002");
    let swap = swap_once(&node, "was held back", held).await;
    assert_eq!(version(&swap, "live"), None, "{swap:#?}");
    node.wait_for_log("is not in CACHE_DIR any more").await;
    // Another file is another matter.
    put(&scene.plugins(), "swap.wasm", &versioned(1_000_003, Does::Work, 3));
    swap_once(&node, "went live", |swap| version(swap, "live") == Some("1.0.1000003")).await;
    assert_eq!(worked_on_by(&scene, &node).await, "1.0.1000003");
    assert_eq!(node.terminate().await, 0);
}

#[tokio::test]
async fn a_canary_that_was_taken_back_is_not_live_by_a_restart() {
    let scene = scene().await;
    put(&scene.plugins(), "swap.wasm", &versioned(1_000_001, Does::Work, 3));
    put(&scene.plugins(), "swap.toml", b"[canary]\nshare = 1.0\ntasks = 5\nmax_failure_share = 0.2\n");
    let mut node = scene.node();
    swap_once(&node, "went live", |swap| version(swap, "live") == Some("1.0.1000001")).await;
    put(&scene.plugins(), "swap.wasm", &versioned(1_000_002, Does::Fail, 3));
    swap_once(&node, "was tried", |swap| version(swap, "canary") == Some("1.0.1000002")).await;
    // What is noted is there a moment after the decision.
    while !node.log().contains("canary rolled back")
        || !remembered(&scene).contains("\"rolled_back\":{\"swap\"")
    {
        scene.wait_for_end(submit(&scene, false), &node).await;
    }
    node.kill().await;
    let mut node = scene.node();
    let serves = |swap: &Value| version(swap, "live") == Some("1.0.1000001");
    swap_once(&node, "served again", serves).await;
    assert_eq!(worked_on_by(&scene, &node).await, "1.0.1000001");
    assert_eq!(node.terminate().await, 0);
}

#[tokio::test]
async fn an_open_breaker_is_open_after_a_restart_until_its_time_or_until_somebody_closes_it() {
    let scene = scene().await;
    put(&scene.plugins(), "swap.wasm", &versioned(1_000_001, Does::Work, 3));
    put(&scene.plugins(), "swap.toml", b"[breaker]\nfailures = 3\nopen_secs = 3000\nmax_open_secs = 3600\n");
    let mut node = scene.node();
    swap_once(&node, "went live", |swap| version(swap, "live").is_some()).await;
    for _ in 0..3 {
        scene.wait_for_end(submit(&scene, true), &node).await;
    }
    let is_open = |swap: &Value| swap["breaker"]["state"] == "open";
    swap_once(&node, "opened", is_open).await;
    for round in 0..2 {
        match round {
            0 => assert_eq!(node.terminate().await, 0),
            _ => node.kill().await,
        }
        node = scene.node();
        let swap = swap_once(&node, "was open", is_open).await;
        let left = swap["breaker"]["half_open_in_secs"].as_u64().expect("a time");
        assert!((1..=3600).contains(&left), "{swap:#?}");
        assert_eq!(swap["breaker"]["openings"], 1, "{swap:#?}");
        assert_eq!(swap["serves"], json!([]), "it gets no task: {swap:#?}");
        let why = swap["breaker"]["why"].as_str().expect("a reason");
        assert!(why.contains("3 runs in a row failed"), "{why}");
    }
    let output = command(&scene, &["plugin", "close-breaker", "swap"]).await;
    assert!(output.status.success(), "{}", printed(&output));
    assert_eq!(worked_on_by(&scene, &node).await, "1.0.1000001");
    assert_eq!(node.terminate().await, 0);
    let mut node = scene.node();
    let swap = swap_once(&node, "went live", |swap| version(swap, "live").is_some()).await;
    assert_eq!(swap["breaker"]["state"], "closed", "{swap:#?}");
    assert_eq!(node.terminate().await, 0);
}

#[tokio::test]
async fn a_breaker_whose_time_is_over_before_the_restart_lets_one_task_decide() {
    let scene = scene().await;
    put(&scene.plugins(), "swap.wasm", &versioned(1_000_001, Does::Work, 3));
    put(&scene.plugins(), "swap.toml", b"[breaker]\nfailures = 3\nopen_secs = 5\n");
    let mut node = scene.node();
    swap_once(&node, "went live", |swap| version(swap, "live").is_some()).await;
    for _ in 0..3 {
        scene.wait_for_end(submit(&scene, true), &node).await;
    }
    node.wait_for_log("circuit breaker opened").await;
    // Noted beside the node, which may be killed at any time.
    let opened = Instant::now();
    swap_once(&node, "opened", |swap| swap["breaker"]["state"] != "closed").await;
    assert_eq!(node.terminate().await, 0);
    // A fifth may have been added to its time.
    sleep(Duration::from_secs(7).saturating_sub(opened.elapsed())).await;
    let mut node = scene.node();
    let swap = swap_once(&node, "was tried", |swap| version(swap, "live").is_some()).await;
    assert_eq!(swap["breaker"]["state"], "half_open", "{swap:#?}");
    assert_eq!(worked_on_by(&scene, &node).await, "1.0.1000001");
    swap_once(&node, "closed", |swap| swap["breaker"]["state"] == "closed").await;
    assert_eq!(node.terminate().await, 0);
}

#[tokio::test]
async fn a_pause_after_a_failure_of_the_nodes_own_goes_on_after_a_kill() {
    let scene = scene().await.serving(DATA);
    let models = scene.work().join("models");
    std::fs::create_dir(&models).expect("a folder");
    put(&scene.plugins(), "data.toml", format!("[directories]\nmodels = {models:?}\n").as_bytes());
    let mut node = scene.node();
    node.wait_for_live("data").await;
    // What was granted is there no more when the task comes, which is the node's own fault.
    std::fs::remove_dir(&models).expect("it is empty");
    std::os::unix::fs::symlink("/proc", &models).expect("a link");
    let task = json!({"capability": "/posemesh/test/data/v1", "meta": {}, "max_attempts": 1});
    let failed = scene.wait_for_end(scene.submit_task(task), &node).await;
    assert_eq!(failed.status, TaskStatus::Failed, "{failed:?}");
    node.wait_for_log("a task failed by this node's own fault").await;
    let deadline = Instant::now() + TIMEOUT;
    while !paused(&scene) {
        assert!(Instant::now() < deadline, "it is never noted: {}", node.log());
        sleep(Duration::from_millis(20)).await;
    }
    node.kill().await;
    let asked = scene.requests(Endpoint::Lease).len();
    let mut node = scene.node();
    let task = scene.submit_noop(Duration::from_millis(1));
    let told = node.wait_for_log("a task failed by this node's own fault");
    told.await;
    if paused(&scene) {
        // As long as it is noted, the node has not asked, or has just asked for the task that decides.
        let since = scene.requests(Endpoint::Lease).len() - asked;
        assert!(since <= 1, "{since} requests: {}", node.log());
    }
    assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed, "one is tried after it");
    let deadline = Instant::now() + TIMEOUT;
    while paused(&scene) {
        assert!(Instant::now() < deadline, "it is over: {}", node.log());
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(node.terminate().await, 0);
}

/// Whether a pause is noted.
fn paused(scene: &Scene) -> bool {
    let mut entries = std::fs::read_dir(&scene.variables["WORK_DIR"]).expect("a folder").flatten();
    entries.any(|entry| entry.file_name().to_string_lossy().starts_with("pause-"))
}

#[tokio::test]
async fn a_file_that_was_rolled_back_and_is_put_there_again_is_not_live() {
    let scene = scene().await;
    let mut node = rolled_back(&scene).await;
    // As a mount that is away for a moment, or a copy that deletes first.
    std::fs::remove_file(scene.plugins().join("swap.wasm")).expect("it is there");
    node.wait_for_log("runner withdrawn").await;
    put(&scene.plugins(), "swap.wasm", &versioned(1_000_002, Does::Work, 3));
    let swap = swap_once(&node, "was looked at", |swap| swap["refused"].is_object()).await;
    let why = swap["refused"]["reason"].as_str().expect("a reason");
    assert!(why.contains("it was rolled back"), "{swap:#?}");
    assert_ne!(version(&swap, "live"), Some("1.0.1000002"), "{swap:#?}");
    assert_eq!(worked_on_by(&scene, &node).await, "1.0.1000001");
    // Another file is another matter.
    put(&scene.plugins(), "swap.wasm", &versioned(1_000_003, Does::Work, 3));
    swap_once(&node, "took the new one", |swap| version(swap, "live") == Some("1.0.1000003")).await;
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

/// Waits until `/ready` has all of these texts.
async fn ready_says(node: &NodeProcess, texts: &[&str]) {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let ready = get(node, "ready").await;
        if texts.iter().all(|text| ready.contains(text)) {
            return;
        }
        assert!(Instant::now() < deadline, "never {texts:?}: {ready}\n{}", node.log());
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_operators_pause_outlives_a_kill_and_a_restart_until_it_is_resumed() {
    let scene = scene().await;
    let mut node = scene.node();
    scene.wait_for_work_wanted(&node).await;
    let output = command(&scene, &["pause", "--note", "new disk", "--for", "30"]).await;
    assert!(output.status.success() && !printed(&output).contains("warning"), "{}", printed(&output));
    // At once: what the command said holds.
    node.kill().await;
    for _ in 0..2 {
        let asked = scene.requests(Endpoint::Lease).len();
        node = scene.node();
        node.wait_for_log("paused before this start").await;
        node.wait_for_log("the worker takes leases").await;
        ready_says(&node, &["it is paused for another 17", "new disk"]).await;
        scene.wait_for(Endpoint::RegisterWallet, 1, &node).await;
        let task = scene.submit_noop(Duration::from_millis(1));
        sleep(Duration::from_millis(500)).await;
        assert_eq!(scene.requests(Endpoint::Lease).len(), asked, "{}", node.log());
        assert_eq!(scene.devnet.task(task).map(|task| task.leases.len()), Some(0));
        assert_eq!(node.terminate().await, 0);
    }
    node = scene.node();
    node.wait_for_log("the worker takes leases").await;
    let output = command(&scene, &["resume"]).await;
    assert!(output.status.success(), "{}", printed(&output));
    let task = scene.submit_noop(Duration::from_millis(1));
    assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed);
    // Without a time, and then for the process alone.
    let output = command(&scene, &["pause"]).await;
    assert!(output.status.success(), "{}", printed(&output));
    node.kill().await;
    node = scene.node();
    ready_says(&node, &["it is paused until it is resumed"]).await;
    let output = command(&scene, &["drain", "--stay"]).await;
    assert!(output.status.success(), "{}", printed(&output));
    ready_says(&node, &["until it is resumed or started anew"]).await;
    node.kill().await;
    node = scene.node();
    let task = scene.submit_noop(Duration::from_millis(1));
    assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed);
    assert!(!node.log().contains("paused before this start"), "{}", node.log());
}

#[tokio::test]
async fn a_pause_whose_time_passes_while_no_node_runs_is_over() {
    let scene = scene().await.set("ADMIN_TOKEN", posemesh_tests::ADMIN_TOKEN);
    let mut node = scene.node();
    scene.wait_for_work_wanted(&node).await;
    let addr = node.status_addr().await;
    let request = posemesh_tests::http_client().post(format!("http://{addr}/api/admin/pause?secs=1"));
    let answer = request.bearer_auth(posemesh_tests::ADMIN_TOKEN).send().await.expect("an answer");
    assert_eq!(answer.status(), 202);
    node.kill().await;
    sleep(Duration::from_secs(1)).await;
    let node = scene.node();
    let task = scene.submit_noop(Duration::from_millis(1));
    assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed);
}
