//! A node whose runners change: what it registers, and what happens to its tasks.

use std::time::Duration;

use posemesh_devnet::TaskStatus;
use posemesh_tests::versions::{Does, capability, put, versioned};
use posemesh_tests::{NOOP, NodeProcess, Scene, TIMEOUT};
use serde_json::json;
use uuid::Uuid;

fn submit(scene: &Scene, suffix: u8, sleep_ms: u64) -> Uuid {
    scene.submit_task(json!({"capability": capability(suffix), "meta": {"sleep_ms": sleep_ms}}))
}

/// Waits until the newest registration has exactly these capabilities.
async fn registered(scene: &Scene, node: &NodeProcess, mut wanted: Vec<String>) {
    wanted.sort();
    let said = || {
        let newest = scene.devnet.registrations().into_iter().next_back()?;
        (newest.capabilities == wanted).then_some(())
    };
    let what = format!("a registration with {wanted:?}");
    let seen = scene.devnet.wait_until(TIMEOUT, &what, said).await;
    seen.unwrap_or_else(|error| {
        panic!(
            "{error}; registrations: {:?}; the node printed:\n{}",
            scene.devnet.registrations(),
            node.log()
        )
    });
}

#[tokio::test]
async fn dds_is_told_what_comes_and_goes_and_a_task_outlives_its_runner() {
    let scene = Scene::new().await.set("REGISTER_INTERVAL_SECS", 1);
    let mut node = scene.node();
    registered(&scene, &node, vec![NOOP.to_owned()]).await;
    put(&scene.plugins(), "swap.wasm", &versioned(1_000_001, Does::Work, 1));
    registered(&scene, &node, vec![NOOP.to_owned(), capability(1)]).await;

    // It lasts until DDS has been told, on a loaded machine too.
    let task = submit(&scene, 1, 8000);
    scene.wait_for_running(task, &node).await;
    std::fs::remove_file(scene.plugins().join("swap.wasm")).expect("removed");
    registered(&scene, &node, vec![NOOP.to_owned()]).await;
    let state = scene.devnet.task(task).expect("known");
    assert_eq!(state.status, TaskStatus::Running, "it goes on: {}", node.log());
    let ended = scene.wait_for_end(task, &node).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
    assert_eq!(ended.progress["ended"], "1.0.1000001");
    node.wait_for_log("runner gone").await;
    assert_eq!(node.terminate().await, 0);
}

#[tokio::test]
async fn sighup_makes_it_look_at_once() {
    let scene = Scene::new().await;
    let node = scene.node();
    scene.wait_for_work_wanted(&node).await;
    let pid = node.id().to_string();
    let sent = std::process::Command::new("kill").args(["-HUP", &pid]).status().expect("kill");
    assert!(sent.success());
    node.wait_for_log("SIGHUP").await;
    put(&scene.plugins(), "swap.wasm", &versioned(1_000_001, Does::Work, 2));
    let sent = std::process::Command::new("kill").args(["-HUP", &pid]).status().expect("kill");
    assert!(sent.success());
    let task = submit(&scene, 2, 0);
    let ended = scene.wait_for_end(task, &node).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{}", node.log());
}

#[tokio::test]
async fn a_swap_in_the_middle_of_a_task_does_not_touch_it() {
    let scene = Scene::new().await.set("MAX_CONCURRENCY", 2);
    put(&scene.plugins(), "swap.wasm", &versioned(1_000_001, Does::Work, 3));
    let node = scene.node();
    let long = submit(&scene, 3, 3000);
    node.wait_for_log("version 1.0.1000001").await;
    put(&scene.plugins(), "swap.wasm", &versioned(1_000_002, Does::Work, 3));
    let swapped = async {
        while !node.log().contains("swap 1.0.1000002 #3") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, swapped).await.unwrap_or_else(|_| panic!("{}", node.log()));
    let short = scene.wait_for_end(submit(&scene, 3, 0), &node).await;
    assert_eq!(short.progress["began"], "1.0.1000002", "new tasks get the new one");
    let long = scene.wait_for_end(long, &node).await;
    assert_eq!(long.status, TaskStatus::Completed);
    assert_eq!(
        (&long.progress["began"], &long.progress["ended"]),
        (&json!("1.0.1000001"), &json!("1.0.1000001"))
    );
    assert_eq!(long.attempts, 1);
}
