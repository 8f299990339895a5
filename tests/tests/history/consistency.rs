//! The history says of each lease what the job server has seen, through faults and kills.

use std::collections::BTreeMap;
use std::time::Duration;

use posemesh_devnet::{DevnetConfig, Endpoint, Fault, TaskState, TaskStatus};
use posemesh_tests::leases_of;
use posemesh_tests::versions::{Does, capability, put, versioned};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{assert_whole, json as told, with};

/// How often each outcome stands in the history of one task.
#[derive(Debug, Default)]
struct Outcomes {
    completed: usize,
    failed: usize,
    lost: usize,
    unknown: usize,
}

fn outcomes(rows: &[Value]) -> BTreeMap<String, Outcomes> {
    let mut by_task: BTreeMap<String, Outcomes> = BTreeMap::new();
    for row in rows {
        let of = by_task.entry(row["task"].as_str().expect("an id").to_owned()).or_default();
        match row["outcome"].as_str().expect("a word") {
            "completed" => of.completed += 1,
            "failed" => of.failed += 1,
            "lost" => of.lost += 1,
            "unknown" => of.unknown += 1,
            other => panic!("{other}: {row}"),
        }
    }
    by_task
}

/// Compares what is told of one task with what the job server has seen.
fn assert_agrees(task: &TaskState, history: &Outcomes) {
    let about = || format!("history: {history:?}\njob server: {task:#?}");
    let (completions, failures) = (task.completions.len(), task.failures.len());
    let rows = history.completed + history.failed + history.lost + history.unknown;
    let expired = usize::try_from(task.expired_leases).expect("small");
    // A lease that was granted in the very moment of the kill, and of which no node has heard, has expired.
    assert!(rows <= task.leases.len(), "a lease stands twice: {}", about());
    assert!(rows + expired >= task.leases.len(), "a lease is missing: {}", about());
    // What ended well or badly for the job server did so for the history, or its node was killed before it could say so.
    assert!(history.completed <= completions, "{}", about());
    assert!(completions <= history.completed + history.unknown, "{}", about());
    assert!(history.failed <= failures, "{}", about());
    assert!(failures <= history.failed + history.unknown, "{}", about());
    assert!(history.lost <= expired, "{}", about());
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_tasks_through_faults_and_kills_stand_in_the_history_as_the_job_server_saw_them() {
    let config = DevnetConfig { leases_per_node: 4, ..leases_of(Duration::from_secs(4)) };
    let scene = with(config).await.set("MAX_CONCURRENCY", 4);
    put(&scene.plugins(), "swap.wasm", &versioned(1_000_001, Does::Work, 7));
    // So that what fails on purpose keeps no runner out.
    put(&scene.plugins(), "swap.toml", b"[breaker]\nenabled = false\n");
    let faults = scene.devnet.faults();
    for (endpoint, probability) in [
        (Endpoint::Heartbeat, 0.04),
        (Endpoint::Complete, 0.04),
        (Endpoint::Fail, 0.1),
        (Endpoint::Lease, 0.02),
    ] {
        faults.add(Fault::answer(503, "busy").on(endpoint).probability(probability));
    }
    // The report has arrived, and its answer is cut off.
    faults.add(Fault::drop_after().on(Endpoint::Complete).probability(0.04));
    let submit = |number: u64| {
        let meta = json!({"sleep_ms": number % 40, "fail": u8::from(number.is_multiple_of(7))});
        scene.submit_task(json!({"capability": capability(7), "meta": meta, "max_attempts": 4}))
    };
    let mut tasks: Vec<Uuid> = Vec::new();
    for round in 0..3_u64 {
        let mut node = scene.node();
        tasks.extend((0..100).map(|number| submit(100 * round + number)));
        // In the middle of the work: most of what was submitted is still to be done.
        let at = tasks[usize::try_from(30 + 27 * round).expect("small")];
        scene.wait_for_end(at, &node).await;
        node.kill().await;
        assert_whole(&scene);
    }
    let mut node = scene.node();
    let mut ended = BTreeMap::new();
    for task in &tasks {
        ended.insert(task.to_string(), scene.wait_for_end(*task, &node).await);
    }
    assert_eq!(node.terminate().await, 0, "{}", node.log());
    assert_whole(&scene);
    let history = outcomes(&told(&scene, &["tasks"], "tasks").await);
    let is_known = |task: &String| ended.contains_key(task);
    assert!(history.keys().all(is_known), "a task that never was: {history:#?}");
    let none = Outcomes::default();
    for (id, task) in &ended {
        assert_agrees(task, history.get(id).unwrap_or(&none));
    }
    let sum = |count: fn(&Outcomes) -> usize| history.values().map(count).sum::<usize>();
    let completed = ended.values().filter(|task| task.status == TaskStatus::Completed).count();
    assert!(completed >= 200, "{completed} of {} completed", tasks.len());
    assert!(sum(|of| of.completed) + 3 * 4 >= completed, "a kill hides what ran in its moment, and no more");
    assert!(sum(|of| of.failed) > 0);
    assert!(sum(|of| of.unknown) <= 3 * 4, "{history:#?}");
}
