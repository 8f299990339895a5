//! A thousand tasks while every tenth request fails.

use std::time::{Duration, Instant};

use posemesh_devnet::{DevnetConfig, Fault, Role, TaskStatus};
use posemesh_tests::{NOOP, Scene, assert_ended_once};
use serde_json::{Value, json};

const TASKS: usize = 1000;
const WORKERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tasks_end_exactly_once_while_every_tenth_request_fails() {
    let config = DevnetConfig {
        leases_per_node: WORKERS,
        lease_ttl: Duration::from_secs(4),
        sweep_interval: Duration::from_millis(250),
        seed: 20_26,
        ..DevnetConfig::default()
    };
    let scene = Scene::with(config).await.set("MAX_CONCURRENCY", WORKERS).set("REQUEST_TIMEOUT_SECS", 2);
    // Together a tenth of all requests: refused, reset before and after the server acted, garbled, truncated.
    let faults = [
        Fault::answer(503, "busy"),
        Fault::answer(500, "broken"),
        Fault::drop_before(),
        Fault::drop_after(),
        Fault::garbage(200),
        Fault::truncate(10),
    ];
    let chance = 0.1 / faults.len() as f64;
    let faults: Vec<_> = faults
        .into_iter()
        .map(|fault| scene.devnet.faults().add(fault.on_role(Role::Dms).probability(chance)))
        .collect();
    let task = json!({"label": "t", "stage": "t", "capability": NOOP, "meta": {"sleep_ms": 0},
                      "max_attempts": 10});
    let all: Vec<Value> = std::iter::repeat_n(task, TASKS).collect();
    let job = scene.devnet.submit_job(json!({"label": "thousand", "tasks": all})).expect("a job");
    let began = Instant::now();
    let mut node = scene.node();
    let mut ended = 0;
    let done = || {
        let rest = job.tasks.iter().skip(ended);
        ended += rest.take_while(|task| scene.task(**task).status.is_end()).count();
        (ended == TASKS).then_some(())
    };
    let timeout = Duration::from_secs(420);
    if let Err(error) = scene.devnet.wait_until(timeout, "a thousand ends", done).await {
        let count = |status| job.tasks.iter().filter(|task| scene.task(**task).status == status).count();
        panic!("{error}; {} completed\n{}", count(TaskStatus::Completed), node.log());
    }
    let took = began.elapsed();
    scene.devnet.faults().clear();
    assert_eq!(node.terminate().await, 0, "{}", node.log());

    let (mut leases, mut expired, mut failed) = (0, 0, 0);
    for task in &job.tasks {
        let ended = scene.task(*task);
        assert_eq!(ended.status, TaskStatus::Completed, "{ended:?}\n{}", node.log());
        assert_ended_once(&ended, &node);
        leases += ended.leases.len();
        expired += ended.expired_leases;
        failed += ended.failures.len();
    }
    let requests = scene.devnet.requests();
    let to_dms = requests.iter().filter(|r| r.endpoint.is_some_and(|e| e.role() == Role::Dms)).count();
    let hit = requests.iter().filter(|r| r.faults.iter().any(|fault| faults.contains(fault))).count();
    println!(
        "{TASKS} tasks in {took:.1?}: {to_dms} requests, {hit} of them failed; {leases} leases, {expired} of \
         them expired, {failed} given back"
    );
    let share = hit as f64 / to_dms as f64;
    assert!((0.07..0.13).contains(&share), "about every tenth request fails, not {share}");
}
