//! A capability goes, and the discovery service hears of it late.

use std::time::Duration;

use posemesh_devnet::{Endpoint, Fault, TaskStatus};
use posemesh_tests::guests::TRAP;
use posemesh_tests::{NOOP, Scene};
use serde_json::json;
use uuid::Uuid;

async fn tasks_that_fail_while_dds_is_slow(robot: bool) {
    let scene = Scene::new().await.serving(TRAP);
    let scene = if robot { scene.robot() } else { scene };
    let policy = "[breaker]\nfailures = 3\nopen_secs = 3600\n";
    std::fs::write(scene.plugins().join("trap.toml"), policy).expect("written");
    let mut node = scene.node();
    scene.wait_for_registered(&[NOOP, TRAP.capability], &node).await;
    // DDS takes its time for the next one, in which a capability is missing.
    let endpoint = if robot { Endpoint::RobotRegister } else { Endpoint::RegisterWallet };
    let slow = scene.devnet.faults().add(Fault::delay_before(Duration::from_secs(6)).on(endpoint));
    let mode = if robot { "dedicated" } else { "public" };
    let task = json!({"capability": TRAP.capability, "max_attempts": 1, "mode": mode});
    let tasks: Vec<Uuid> = (0..20).map(|_| scene.submit_task(task.clone())).collect();
    node.wait_for_log("circuit breaker").await;
    // What is there is done, as soon as DDS has heard.
    let other = scene.submit_noop(Duration::ZERO);
    let ended = scene.wait_for_end(other, &node).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
    let failed = tasks.iter().filter(|task| scene.task(**task).status == TaskStatus::Failed).count();
    assert_eq!(failed, 3, "those that opened the breaker: {}", node.log());
    let told = scene.hit_by(slow).first().and_then(|request| Some(request.at + request.took?));
    let told = told.unwrap_or_else(|| panic!("DDS was told: {}", node.log()));
    let opened = scene.requests(Endpoint::Fail)[2].at;
    let early =
        scene.requests(Endpoint::Lease).iter().filter(|poll| opened < poll.at && poll.at < told).count();
    assert!(early <= 1, "{early} requests for work before DDS had heard: {}", node.log());
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn nothing_is_asked_for_until_dds_has_heard_that_a_breaker_is_open() {
    tasks_that_fail_while_dds_is_slow(false).await;
}

#[tokio::test]
async fn a_robot_asks_for_nothing_until_dds_has_heard_that_a_breaker_is_open() {
    tasks_that_fail_while_dds_is_slow(true).await;
}
