//! What an upgrade costs: another process takes over the identity, the folders and the work of one that ends, under load.

use std::time::Duration;

use posemesh_devnet::TaskStatus;
use posemesh_tests::{NOOP, NodeProcess, Scene, assert_ended_once};
use serde_json::json;
use uuid::Uuid;

/// Submits this many tasks that take this long each.
fn load(scene: &Scene, tasks: usize, sleep: Duration) -> Vec<Uuid> {
    (0..tasks).map(|_| scene.submit_noop(sleep)).collect()
}

fn ended(scene: &Scene, tasks: &[Uuid]) -> usize {
    tasks.iter().filter(|task| scene.task(**task).status == TaskStatus::Completed).count()
}

#[tokio::test]
async fn a_drain_and_a_new_process_cost_no_task_an_attempt() {
    let scene = Scene::new().await.set("MAX_CONCURRENCY", 1);
    let mut old = scene.node();
    scene.wait_for_work_wanted(&old).await;
    let tasks = load(&scene, 40, Duration::from_millis(300));
    scene.wait_until("some tasks that are done", &old, || (ended(&scene, &tasks) >= 3).then_some(())).await;
    // What `posemesh-node drain` does: it takes no new lease, ends its task and then itself.
    old.signal("USR1").await;
    assert_eq!(old.wait().await, 0, "{}", old.log());
    let left: Vec<Uuid> =
        tasks.iter().copied().filter(|task| scene.task(*task).status != TaskStatus::Completed).collect();
    assert!(!left.is_empty(), "there is work for the new process");
    for task in &left {
        let task = scene.task(*task);
        assert_eq!((task.status, task.leases.len()), (TaskStatus::Queued, 0), "not even begun: {task:?}");
    }
    let mut new = scene.node();
    for task in &tasks {
        let task = scene.wait_for_end(*task, &new).await;
        assert_eq!((task.status, task.leases.len()), (TaskStatus::Completed, 1), "{task:?}");
        assert_ended_once(&task, &new);
    }
    assert_eq!(new.terminate().await, 0, "{}", new.log());
}

#[tokio::test]
async fn a_restart_gives_back_what_can_not_end_and_the_next_process_does_it() {
    let scene = Scene::new().await.set("SHUTDOWN_GRACE_SECS", 2);
    let old = scene.node();
    scene.wait_for_work_wanted(&old).await;
    // Far longer than the grace time, but short once nothing stops it.
    let meta = json!({"sleep_ms": 15_000});
    let task = scene.submit_task(json!({"capability": NOOP, "meta": meta, "max_attempts": 3}));
    scene.wait_for_running(task, &old).await;
    let mut old: NodeProcess = old;
    assert_eq!(old.terminate().await, 0, "{}", old.log());
    let given_back = scene.task(task);
    assert_eq!(given_back.expired_leases, 0, "reported, and not left to expire: {given_back:?}");
    assert_eq!((given_back.status, given_back.failures.len()), (TaskStatus::Queued, 1), "{given_back:?}");
    let new = scene.node();
    let done = scene.wait_for_end(task, &new).await;
    assert_eq!((done.status, done.leases.len()), (TaskStatus::Completed, 2), "it cost one attempt: {done:?}");
    scene.assert_goes_on(new).await;
}
