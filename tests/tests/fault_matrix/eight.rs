//! The node's surroundings fail while eight tasks run: those that run may be lost, no other is, and the node is soon well
//! again.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use posemesh_devnet::{DevnetConfig, Endpoint, TaskStatus};
use posemesh_tests::{NOOP, NodeProcess, Scene, http_client, node_binary};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

const WORKERS: usize = 8;
const TASKS: usize = 32;

async fn scene() -> Scene {
    let config = DevnetConfig { leases_per_node: WORKERS, ..DevnetConfig::default() };
    Scene::with(config).await.set("MAX_CONCURRENCY", WORKERS)
}

fn submit(scene: &Scene) -> Vec<Uuid> {
    let task = json!({"label": "t", "stage": "t", "capability": NOOP, "meta": {"sleep_ms": 2000}, "max_attempts": 3});
    let tasks: Vec<Value> = std::iter::repeat_n(task, TASKS).collect();
    scene.devnet.submit_job(json!({"label": "eight", "tasks": tasks})).expect("a job").tasks
}

async fn until_eight_run(scene: &Scene, tasks: &[Uuid], node: &NodeProcess) {
    let running = || {
        let count = tasks.iter().filter(|task| scene.task(**task).status == TaskStatus::Running).count();
        (count == WORKERS).then_some(())
    };
    scene.wait_until("eight running tasks", node, running).await;
}

/// All tasks are done at last, and no more attempts failed than tasks were running.
async fn assert_the_rest_is_done(scene: &Scene, tasks: &[Uuid], node: &NodeProcess) {
    let ended = || tasks.iter().all(|task| scene.task(*task).status.is_end()).then_some(());
    scene.wait_until("the end of all", node, ended).await;
    let states: Vec<_> = tasks.iter().map(|task| scene.task(*task)).collect();
    let done = states.iter().filter(|task| task.status == TaskStatus::Completed).count();
    assert_eq!(done, TASKS, "{}", node.log());
    let failed: usize = states.iter().map(|task| task.failures.len()).sum();
    let expired: u64 = states.iter().map(|task| u64::from(task.expired_leases)).sum();
    // With `--nocapture`: the figures.
    eprintln!("{done} of {TASKS} completed, {failed} attempts failed, {expired} leases expired");
    assert!(failed <= WORKERS && expired == 0, "{failed} failed, {expired} expired: {}", node.log());
}

/// Waits until the node asks for work again; how long that took.
async fn until_well(scene: &Scene, node: &NodeProcess) -> Duration {
    let began = Instant::now();
    let seen = scene.devnet.requests().last().map_or(0, |request| request.seq);
    scene.wait_for_after(Endpoint::Lease, seen, node).await;
    let took = began.elapsed();
    eprintln!("asks for work again after {} ms", took.as_millis());
    took
}

#[tokio::test]
async fn the_disk_is_filled_while_eight_tasks_run() {
    let scene = scene().await.set("STATUS_ADDR", "127.0.0.1:0");
    let work = PathBuf::from(&scene.variables["WORK_DIR"]);
    std::fs::create_dir_all(&work).expect("a folder");
    // A disk of its own, which goes with the node.
    let script = format!(
        "exec unshare --user --map-root-user --mount sh -c 'mount -t tmpfs -o size=64m none {} && exec {} run'",
        work.display(),
        node_binary().display()
    );
    let mut variables = scene.variables.clone();
    variables.insert("PATH".to_owned(), std::env::var("PATH").expect("PATH"));
    let mut node = NodeProcess::start(Path::new("sh"), &["-c", &script], &variables);
    let addr = node.status_addr().await;
    let tasks = submit(&scene);
    until_eight_run(&scene, &tasks, &node).await;
    let filler = PathBuf::from(format!("/proc/{}/root{}", node.id(), work.join("filler").display()));
    let mut file = std::fs::File::create(&filler).expect("a file on the node's disk");
    while file.write_all(&[1; 64 << 10]).is_ok() {}
    let missing = async || {
        let answer = http_client().get(format!("http://{addr}/ready")).send().await.expect("an answer");
        answer.text().await.expect("a body")
    };
    let deadline = Instant::now() + posemesh_tests::TIMEOUT;
    while !missing().await.contains("are free in") {
        assert!(Instant::now() < deadline, "{}: {}", missing().await, node.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Long enough for every task that ran to end, and for no further one to begin.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let polls = scene.requests(Endpoint::Lease).len();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.requests(Endpoint::Lease).len(), polls, "nothing is asked for: {}", node.log());
    drop(file);
    std::fs::remove_file(&filler).expect("removed");
    let well = until_well(&scene, &node).await;
    assert!(well < Duration::from_secs(60), "well again after {well:?}: {}", node.log());
    assert_the_rest_is_done(&scene, &tasks, &node).await;
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn the_reader_of_the_log_is_killed_while_eight_tasks_run() {
    let scene = scene().await.set("RUST_LOG", "trace");
    let mut node = NodeProcess::with_log_to(Stdio::piped(), &node_binary(), &["run"], &scene.variables);
    let tasks = submit(&scene);
    until_eight_run(&scene, &tasks, &node).await;
    node.close_log();
    let well = until_well(&scene, &node).await;
    assert!(well < Duration::from_secs(60), "it was never unwell: {well:?}");
    assert_the_rest_is_done(&scene, &tasks, &node).await;
    assert_eq!(node.terminate().await, 0);
}
