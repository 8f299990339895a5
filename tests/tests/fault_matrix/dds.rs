//! Faults of DDS.

use std::time::Duration;

use posemesh_devnet::TaskStatus;
use posemesh_tests::{NodeProcess, Scene};

#[tokio::test]
async fn dds_down_at_start() {
    let (scene, mut node) = Scene::new()
        .await
        .while_down(async |variables| {
            let node = NodeProcess::run(variables);
            node.wait_for_log("registration.error").await;
            node
        })
        .await;
    let task = scene.submit_noop(Duration::from_millis(1));
    let ended = scene.wait_for_end(task, &node).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
    assert_eq!((ended.completions.len(), ended.failures.len(), ended.leases.len()), (1, 0, 1));
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}
