//! The machine lacks what tasks need: a folder, disk, memory, descriptors.

use std::path::Path;
use std::time::Duration;

use posemesh_devnet::{DevnetConfig, Endpoint, Fault, TaskStatus};
use posemesh_tests::guests::COPY;
use posemesh_tests::{NOOP, NodeProcess, Scene, http_client, node_binary};
use serde_json::{Value, json};
use uuid::Uuid;

const WORKERS: usize = 8;

async fn scene() -> Scene {
    let config = DevnetConfig { leases_per_node: WORKERS, ..DevnetConfig::default() };
    Scene::with(config).await.set("MAX_CONCURRENCY", WORKERS).set("STATUS_ADDR", "127.0.0.1:0")
}

fn submit(scene: &Scene, tasks: usize, sleep_ms: u64) -> Vec<Uuid> {
    let task = json!({"label": "t", "stage": "t", "capability": NOOP, "meta": {"sleep_ms": sleep_ms},
                      "max_attempts": 3});
    let tasks: Vec<Value> = std::iter::repeat_n(task, tasks).collect();
    scene.devnet.submit_job(json!({"label": "machine", "tasks": tasks})).expect("a job").tasks
}

fn count(scene: &Scene, tasks: &[Uuid], status: TaskStatus) -> usize {
    tasks.iter().filter(|task| scene.task(**task).status == status).count()
}

/// What `/ready` says is missing.
async fn missing(addr: &str) -> String {
    let answer = http_client().get(format!("http://{addr}/ready")).send().await.expect("an answer");
    answer.text().await.expect("a body")
}

async fn until_missing(addr: &str, text: &str, node: &NodeProcess) {
    let deadline = tokio::time::Instant::now() + posemesh_tests::TIMEOUT;
    loop {
        let missing = missing(addr).await;
        if missing.contains(text) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{missing}: {}", node.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn work_dir_is_removed_while_eight_tasks_run() {
    let scene = scene().await;
    let mut node = scene.node();
    // Eight that last until all of them run, however long it takes to start one; the others wait.
    let tasks = [submit(&scene, WORKERS, 6000), submit(&scene, 40 - WORKERS, 200)].concat();
    let running = || Some(count(&scene, &tasks, TaskStatus::Running)).filter(|n| *n == WORKERS);
    scene.wait_until("eight running tasks", &node, running).await;
    // As a cleaner does, which is not alone there.
    while std::fs::remove_dir_all(scene.work().join("work")).is_err() {}
    let done = || {
        let ended = |task: &Uuid| scene.task(*task).status.is_end();
        tasks.iter().all(ended).then_some(())
    };
    scene.wait_until("the end of all", &node, done).await;
    assert_eq!(count(&scene, &tasks, TaskStatus::Completed), 40, "{}", node.log());
    let failures: usize = tasks.iter().map(|task| scene.task(*task).failures.len()).sum();
    assert!(failures <= WORKERS, "{failures} attempts failed: {}", node.log());
    assert!(node.log().contains("it is made again"), "{}", node.log());
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn there_is_less_disk_than_the_next_task_may_use() {
    let scene = scene().await.set("RUNNER_MAX_SCRATCH_BYTES", "256TiB");
    let policy = scene.plugins().join("noop.toml");
    std::fs::write(&policy, "[limits]\nscratch_bytes = 140737488355328\n").expect("written");
    let node = scene.node();
    let addr = node.status_addr().await;
    let tasks = submit(&scene, 1, 0);
    until_missing(&addr, "scratch_bytes", &node).await;
    assert_eq!(scene.requests(Endpoint::Lease).len(), 0, "no lease is asked for: {}", node.log());
    // It heals by itself when what a task may use is there.
    std::fs::write(&policy, "[limits]\nscratch_bytes = 1048576\n").expect("written");
    let ended = scene.wait_for_end(tasks[0], &node).await;
    assert_eq!((ended.status, ended.leases.len()), (TaskStatus::Completed, 1), "{}", node.log());
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn memory_is_promised_to_no_more_tasks_than_the_budget_holds() {
    // Two runners of 16 MiB, with the 48 MiB that the node holds for each task.
    let scene = scene().await.set("MEMORY_BUDGET", "130MiB");
    let mut node = scene.node();
    let tasks = submit(&scene, 6, 400);
    let mut most = 0;
    let done = || {
        let leased = count(&scene, &tasks, TaskStatus::Running) + count(&scene, &tasks, TaskStatus::Leased);
        most = most.max(leased);
        (count(&scene, &tasks, TaskStatus::Completed) == tasks.len()).then_some(())
    };
    scene.wait_until("the end of all", &node, done).await;
    assert!((1..=2).contains(&most), "{most} at a time: {}", node.log());
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn there_are_too_few_descriptors_for_a_task() {
    let scene = scene().await;
    let script = format!("ulimit -n 48; exec {} run", node_binary().display());
    let mut node = NodeProcess::start(Path::new("/bin/sh"), &["-c", &script], &scene.variables);
    let tasks = submit(&scene, 20, 0);
    node.wait_for_log("ulimit -n").await;
    let failures: usize = tasks.iter().map(|task| scene.task(*task).failures.len()).sum();
    assert_eq!(failures, 0, "no task is failed for it: {}", node.log());
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn a_domain_server_that_answers_403_to_everything_does_not_eat_the_queue() {
    let scene = Scene::new().await.serving(COPY).set("STATUS_ADDR", "127.0.0.1:0");
    let input = scene.devnet.put_data("input", "bin", b"some bytes").await.expect("an input");
    let refused = scene.devnet.faults().add(Fault::answer(403, "no").on(Endpoint::DownloadData));
    let mut node = scene.node();
    let addr = node.status_addr().await;
    let task = json!({"capability": COPY.capability, "inputs_cids": [input], "max_attempts": 1});
    let tasks: Vec<Uuid> = (0..20).map(|_| scene.submit_task(task.clone())).collect();
    until_missing(&addr, "the domain server", &node).await;
    // The node knows it before the last of its reports has arrived.
    let three = || Some(count(&scene, &tasks, TaskStatus::Failed)).filter(|failed| *failed >= 3);
    let failed = scene.wait_until("three failed tasks", &node, three).await;
    assert!((3..=6).contains(&failed), "{failed} of 20 failed: {}", node.log());
    assert_eq!(count(&scene, &tasks, TaskStatus::Completed), 0);
    // The server is well again: one task finds out, and the rest follow.
    scene.devnet.faults().remove(refused);
    let done = || {
        let ended = |task: &Uuid| scene.task(*task).status.is_end();
        tasks.iter().all(ended).then_some(())
    };
    scene.wait_until("the end of all", &node, done).await;
    assert!(count(&scene, &tasks, TaskStatus::Completed) >= 13, "{}", node.log());
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}
