//! A domain server gives every task a refusal that would be the task's own fault if it were the only one to get it.

use std::time::Duration;

use posemesh_devnet::{Endpoint, Fault, TaskStatus};
use posemesh_tests::guests::COPY;
use posemesh_tests::{NodeProcess, Scene, http_client};
use serde_json::{Value, json};
use uuid::Uuid;

async fn scene() -> Scene {
    Scene::new().await.serving(COPY).set("STATUS_ADDR", "127.0.0.1:0")
}

/// Tasks with an input each.
async fn submit(scene: &Scene, tasks: usize) -> Vec<Uuid> {
    let mut submitted = Vec::new();
    for _ in 0..tasks {
        let input = scene
            .devnet
            .put_data(&format!("input-{}", Uuid::new_v4()), "bin", b"bytes")
            .await
            .expect("an input");
        let task = json!({"capability": COPY.capability, "inputs_cids": [input], "max_attempts": 1});
        submitted.push(scene.submit_task(task));
    }
    submitted
}

async fn get(addr: &str, path: &str) -> String {
    let answer = http_client().get(format!("http://{addr}{path}")).send().await.expect("an answer");
    answer.text().await.expect("a body")
}

async fn until_ready_says(addr: &str, text: &str, node: &NodeProcess) {
    let deadline = tokio::time::Instant::now() + posemesh_tests::TIMEOUT;
    while !get(addr, "/ready").await.contains(text) {
        assert!(tokio::time::Instant::now() < deadline, "{text} is not in /ready: {}", node.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn count(scene: &Scene, tasks: &[Uuid], status: TaskStatus) -> usize {
    tasks.iter().filter(|task| scene.task(**task).status == status).count()
}

fn blames(scene: &Scene, tasks: &[Uuid]) -> Vec<String> {
    let failures = tasks.iter().flat_map(|task| scene.task(*task).failures);
    failures.map(|failure| failure.details["failure"]["blame"].to_string()).collect()
}

/// What must hold of a server that refuses everybody alike: a few tasks are lost, the rest wait and complete, and no
/// runner is judged.
async fn assert_the_server_is_blamed(faults: Vec<Fault>) {
    let scene = scene().await;
    let faults: Vec<_> = faults.into_iter().map(|fault| scene.devnet.faults().add(fault)).collect();
    let mut node = scene.node();
    let addr = node.status_addr().await;
    let tasks = submit(&scene, 20).await;
    until_ready_says(&addr, "has given every task the same refusal", &node).await;
    let failed = count(&scene, &tasks, TaskStatus::Failed);
    assert!((3..=6).contains(&failed), "{failed} of 20 failed: {}", node.log());
    let blames = blames(&scene, &tasks);
    assert_eq!(blames.iter().filter(|blame| blame.contains("task")).count(), 2, "{blames:?}");
    assert!(blames.iter().all(|blame| !blame.contains("runner")), "{blames:?}");
    let metrics = get(&addr, "/metrics").await;
    assert!(metrics.contains("cause=\"server\""), "{metrics}");
    // The server is well again: one task finds out, and the rest follow.
    assert!(faults.into_iter().all(|fault| scene.devnet.faults().remove(fault)));
    let done = || tasks.iter().all(|task| scene.task(*task).status.is_end()).then_some(());
    scene.wait_until("the end of all", &node, done).await;
    assert!(count(&scene, &tasks, TaskStatus::Completed) >= 13, "{}", node.log());
    assert!(!node.log().contains("circuit breaker"), "no runner is judged: {}", node.log());
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn a_domain_server_that_answers_404_to_everything_does_not_eat_the_queue() {
    assert_the_server_is_blamed(vec![Fault::answer(404, "no such thing").on(Endpoint::DownloadData)]).await;
}

#[tokio::test]
async fn a_domain_server_that_has_lost_its_data_does_not_eat_the_queue() {
    assert_the_server_is_blamed(vec![Fault::answer(410, "gone").on(Endpoint::DownloadData)]).await;
}

#[tokio::test]
async fn a_domain_server_that_takes_no_upload_for_its_size_opens_no_breaker() {
    let too_large = |endpoint| Fault::answer(413, "too large").on(endpoint);
    assert_the_server_is_blamed(vec![
        too_large(Endpoint::CreateData),
        too_large(Endpoint::MultipartInitiate),
        too_large(Endpoint::MultipartPart),
    ])
    .await;
}

#[tokio::test]
async fn a_domain_server_that_finds_every_upload_wrong_opens_no_breaker() {
    let scene = scene().await;
    for endpoint in [Endpoint::CreateData, Endpoint::MultipartInitiate] {
        scene.devnet.faults().add(Fault::answer(422, "no").on(endpoint));
    }
    let mut node = scene.node();
    let addr = node.status_addr().await;
    let tasks = submit(&scene, 20).await;
    until_ready_says(&addr, "has given every task the same refusal", &node).await;
    let failed = count(&scene, &tasks, TaskStatus::Failed);
    assert!((3..=6).contains(&failed), "{failed} of 20 failed: {}", node.log());
    assert!(!node.log().contains("circuit breaker"), "{}", node.log());
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn a_missing_input_here_and_there_is_the_tasks_own_fault() {
    let scene = scene().await;
    let node = scene.node();
    let addr = node.status_addr().await;
    let (mut wrong, mut right) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        for _ in 0..2 {
            let missing = Uuid::new_v4().to_string();
            let task: Value =
                json!({"capability": COPY.capability, "inputs_cids": [missing], "max_attempts": 1});
            wrong.push(scene.submit_task(task));
        }
        right.extend(submit(&scene, 1).await);
        // In this order, so that it is known what came between.
        let ended = || wrong.iter().chain(&right).all(|task| scene.task(*task).status.is_end()).then_some(());
        scene.wait_until("the end of all so far", &node, ended).await;
    }
    assert_eq!(count(&scene, &right, TaskStatus::Completed), 4, "{}", node.log());
    assert_eq!(blames(&scene, &wrong), vec!["\"task\""; 8], "{}", node.log());
    assert!(!get(&addr, "/ready").await.contains("domain server"), "{}", node.log());
    scene.assert_goes_on(node).await;
}
