//! A node that logs at trace level prints none of the secrets that it has used.

use std::time::Duration;

use posemesh_devnet::{Devnet, DevnetConfig, Endpoint, Fault, TaskStatus};
use posemesh_tests::{ADMIN_TOKEN, NOOP, NodeProcess, Scene, plugin};
use serde_json::json;
use uuid::Uuid;

/// Runs a node at trace level through logins, refusals, a failing and two successful tasks; returns its log.
async fn work(robot: bool, format: &str) -> (Scene, String) {
    let config = DevnetConfig {
        machine_token_ttl: Duration::from_secs(3),
        lease_ttl: Duration::from_secs(3),
        ..DevnetConfig::default()
    };
    let scene = Scene::with(config).await;
    std::fs::copy(plugin("pointcloud"), scene.plugins().join("pointcloud.wasm")).expect("a runner");
    let scene = if robot { scene.robot() } else { scene };
    let scene = scene
        .set("RUST_LOG", "trace")
        .set("LOG_FORMAT", format)
        .set("REGISTER_INTERVAL_SECS", 1)
        .set("ADMIN_TOKEN", ADMIN_TOKEN)
        .set("STATUS_ADDR", "127.0.0.1:0");
    let refused = [Endpoint::SiweVerify, Endpoint::RobotVerify, Endpoint::Lease, Endpoint::Heartbeat];
    for endpoint in refused {
        scene.devnet.faults().add(Fault::answer(401, "refused for the test").on(endpoint).times(1));
    }
    scene.devnet.faults().add(Fault::garbage(300).on(Endpoint::Lease).skip(2).times(1));
    scene.devnet.faults().add(Fault::drop_after().on(Endpoint::CreateData).times(1));
    let mut node = scene.node();
    let scan = scene.devnet.put_data("scan", "ply", ply()).await.expect("stored");
    let ids = [Some(scan), None, Some(Uuid::new_v4())].map(|input| submit(&scene.devnet, input, robot));
    let ends = [
        scene.wait_for_end(ids[0], &node).await.status,
        scene.wait_for_end(ids[1], &node).await.status,
        scene.wait_for_end(ids[2], &node).await.status,
    ];
    assert_eq!(ends, [TaskStatus::Completed, TaskStatus::Completed, TaskStatus::Failed], "{}", tail(&node));
    assert_eq!(node.terminate().await, 0, "{}", tail(&node));
    let log = node.log();
    (scene, log)
}

fn submit(devnet: &Devnet, input: Option<Uuid>, robot: bool) -> Uuid {
    let mode = if robot { "dedicated" } else { "public" };
    let task = match input {
        Some(id) => json!({"label": "t", "stage": "t", "capability": "/posemesh/pointcloud/v1", "mode": mode,
                           "inputs_cids": [id.to_string()], "outputs_prefix": "out", "max_attempts": 3}),
        None => json!({"label": "t", "stage": "t", "capability": NOOP, "mode": mode,
                       "meta": {"sleep_ms": 2000}}),
    };
    devnet.submit_job(json!({"label": "secrets", "tasks": [task]})).expect("a job").tasks[0]
}

fn ply() -> Vec<u8> {
    let mut text = "ply\nformat ascii 1.0\nelement vertex 64\nproperty float x\nproperty float y\n\
                    property float z\nend_header\n"
        .to_owned();
    for n in 0..64 {
        text.push_str(&format!("{} {} {}\n", n % 4, n / 4 % 4, n / 16));
    }
    text.into_bytes()
}

fn tail(node: &NodeProcess) -> String {
    let log = node.log();
    log.lines().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
}

fn assert_no_secret(scene: &Scene, log: &str) {
    assert!(log.len() > 20_000, "it logged at trace level: {} bytes", log.len());
    let mut secrets = scene.devnet.secrets();
    assert!(secrets.iter().any(|(what, _)| *what == "machine token"), "tokens were in play");
    assert!(secrets.iter().any(|(what, _)| *what == "task token"), "of both kinds");
    secrets.push(("admin token", ADMIN_TOKEN.to_owned()));
    for name in ["SECP256K1_PRIVHEX", "REG_SECRET", "ROBOT_REGISTRATION_CREDENTIALS"] {
        secrets.extend(scene.variables.get(name).map(|value| ("variable", value.clone())));
    }
    for (what, secret) in secrets {
        // The application's token is the test's; the node never receives it.
        if what == "application token" {
            continue;
        }
        let shown = log.lines().find(|line| line.contains(&secret));
        assert!(shown.is_none(), "a {what} is in the log: {}", shown.unwrap_or_default());
    }
}

#[tokio::test]
async fn no_secret_of_a_wallet_is_logged_as_text() {
    let (scene, log) = work(false, "text").await;
    assert!(scene.devnet.secrets().iter().any(|(what, _)| *what == "signature"), "a login was signed");
    assert_no_secret(&scene, &log);
}

#[tokio::test]
async fn no_secret_of_a_wallet_is_logged_as_json() {
    let (scene, log) = work(false, "json").await;
    for line in log.lines().filter(|line| line.starts_with('{')) {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    assert_no_secret(&scene, &log);
}

#[tokio::test]
async fn no_secret_of_a_robot_is_logged() {
    let (scene, log) = work(true, "json").await;
    assert_no_secret(&scene, &log);
}
