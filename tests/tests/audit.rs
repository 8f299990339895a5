//! The audit log of a node: admin calls, grants, generations, refusals and ended runs, one line each.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use posemesh_tests::guests::SPIN;
use posemesh_tests::{ADMIN_TOKEN, NodeProcess, Scene, TIMEOUT, http_client, plugin};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// The lines so far that are about an event.
fn events(path: &Path, event: &str) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
    lines.filter(|line| line["event"] == event).collect()
}

/// Waits for a line about an event for which something holds.
async fn wait_for(path: &Path, event: &str, holds: impl Fn(&Value) -> bool, node: &NodeProcess) -> Value {
    let began = Instant::now();
    loop {
        if let Some(found) = events(path, event).into_iter().find(&holds) {
            return found;
        }
        let written = fs::read_to_string(path).unwrap_or_default();
        assert!(began.elapsed() < 2 * TIMEOUT, "no {event} in:\n{written}\nthe node:\n{}", node.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_is_done_to_the_node_and_what_it_decides_is_recorded_a_line_each() {
    let scene = Scene::new().await;
    let path = scene.work().join("audit.jsonl");
    let scene = scene
        .set("RUST_LOG", "off,posemesh_node_core::status=info")
        .set("AUDIT_LOG", path.display())
        .set("ADMIN_TOKEN", ADMIN_TOKEN)
        .set("STATUS_ADDR", "127.0.0.1:0");
    let plugins = scene.plugins();
    fs::copy(SPIN.path(), plugins.join("spin.wasm")).expect("a guest");
    fs::write(plugins.join("spin.toml"), "[limits]\ndeadline_ms = 500\n").expect("a policy");
    fs::write(plugins.join("broken.wasm"), "no component\u{1b}[2J").expect("written");
    let mut node = scene.node();
    let addr = node.status_addr().await;

    wait_for(&path, "node_started", |_| true, &node).await;
    let of = |name: &'static str| move |line: &Value| line["runner"]["name"] == name;
    let granted = wait_for(&path, "granted", of("spin"), &node).await;
    assert_eq!(granted["limits"]["deadline_ms"], 500, "{granted}");
    assert_eq!(granted["runner"]["sha256"].as_str().map(str::len), Some(64), "{granted}");
    let live = wait_for(&path, "generation", of("spin"), &node).await;
    assert_eq!((&live["stage"], &live["runner"]), (&json!("live"), &granted["runner"]));
    let refused = wait_for(&path, "refused", of("broken"), &node).await;
    assert!(refused["reason"].as_str().is_some_and(|why| why.contains("not a WebAssembly")), "{refused}");
    assert_eq!(refused["runner"]["sha256"].as_str().map(str::len), Some(64), "{refused}");

    // A runner that is ended at its deadline, with the task that it had.
    let capability = SPIN.capability;
    let task = json!({"label": "t", "stage": "t", "capability": capability, "mode": "public"});
    let task = scene.devnet.submit_job(json!({"label": "audit", "tasks": [task]})).expect("a job").tasks[0];
    let ended = wait_for(&path, "run_ended", of("spin"), &node).await;
    assert_eq!(ended["task"], task.to_string(), "{ended}");
    assert_eq!(ended["runner"], granted["runner"]);
    assert!(["deadline", "limit"].contains(&ended["kind"].as_str().unwrap_or_default()), "{ended}");

    // Admin calls: one without the token, one with it.
    let post = async |token: &str| {
        let url = format!("http://{addr}/api/admin/rollback/noop?x=1");
        http_client().post(url).bearer_auth(token).send().await.expect("an answer").status()
    };
    assert_eq!(post("wrong").await, StatusCode::UNAUTHORIZED);
    assert_eq!(post(ADMIN_TOKEN).await, StatusCode::CONFLICT);
    let by_status = |status: u16| move |line: &Value| line["status"] == status;
    for status in [401, 409] {
        let call = wait_for(&path, "admin_call", by_status(status), &node).await;
        assert_eq!(call["call"], "/api/admin/rollback/noop?x=1", "{call}");
        assert!(call["from"].as_str().is_some_and(|from| from.starts_with("127.0.0.1:")), "{call}");
    }

    fs::remove_file(plugins.join("spin.wasm")).expect("it is there");
    wait_for(&path, "withdrawn", of("spin"), &node).await;
    assert_eq!(node.terminate().await, 0, "{}", node.log());
    assert_eq!(events(&path, "node_ended").len(), 1);
    let wishes: Vec<_> = events(&path, "wish").iter().map(|line| line["wish"].clone()).collect();
    assert_eq!(wishes, ["stop"], "SIGTERM");
    let text = fs::read_to_string(&path).expect("there");
    let numbers: Vec<Value> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["line"].clone()).collect();
    assert!(numbers.iter().enumerate().all(|(at, number)| *number == json!(at)), "no gap: {text}");
    for secret in
        [ADMIN_TOKEN, "wrong", &scene.variables["REG_SECRET"], &scene.variables["SECP256K1_PRIVHEX"]]
    {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    assert!(!text.contains('\u{1b}') && text.is_ascii(), "{text}");
}

#[tokio::test]
async fn an_audit_log_that_can_not_be_written_keeps_the_node_from_starting_and_a_full_one_does_not() {
    let scene = Scene::new().await.set("AUDIT_LOG", "/nowhere/audit.jsonl");
    let mut node = scene.node();
    assert_eq!(node.wait().await, 1, "{}", node.log());
    node.wait_for_log("opening AUDIT_LOG /nowhere/audit.jsonl").await;

    // The file is replaced by something that takes no byte while the node runs.
    let path = scene.work().join("audit.jsonl");
    let scene = scene.set("AUDIT_LOG", path.display());
    let node = scene.node();
    wait_for(&path, "generation", |line| line["stage"] == "live", &node).await;
    fs::remove_file(&path).expect("there");
    std::os::unix::fs::symlink("/dev/full", &path).expect("a link");
    fs::copy(plugin("noop"), scene.plugins().join("again.wasm")).expect("a runner");
    node.wait_for_log("the audit log can't be written").await;
    let task = scene.submit_noop(Duration::ZERO);
    let end = scene.wait_for_end(task, &node).await;
    assert_eq!(end.status, posemesh_devnet::TaskStatus::Completed, "{}", node.log());
}
