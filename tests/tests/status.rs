//! The status server of a node: health, tasks, metrics, and the admin API.

use std::process::{Command, Output};
use std::time::Duration;

use posemesh_devnet::TaskStatus;
use posemesh_tests::versions::{Does, capability, put, versioned};
use posemesh_tests::{ADMIN_TOKEN, NodeProcess, Scene, TIMEOUT, http_client, node_binary};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

/// A node with a status server, and its address.
struct StatusNode {
    scene: Scene,
    node: NodeProcess,
    addr: String,
}

impl StatusNode {
    async fn start(scene: Scene) -> Self {
        Self::start_as_is(scene.set("ADMIN_TOKEN", ADMIN_TOKEN)).await
    }

    async fn start_as_is(scene: Scene) -> Self {
        let scene = scene.set("STATUS_ADDR", "127.0.0.1:0");
        let node = scene.node();
        let addr = node.status_addr().await;
        Self { scene, node, addr }
    }

    async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
        let client = http_client();
        let mut request = client.request(method, format!("http://{}{path}", self.addr));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response =
            request.send().await.unwrap_or_else(|error| panic!("{path}: {error}: {}", self.node.log()));
        (response.status(), response.text().await.expect("a body"))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, &[]).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    }

    /// Waits until `/ready` gives this answer; returns what is missing.
    async fn until_ready_is(&self, wanted: bool) -> Vec<String> {
        let deadline = tokio::time::Instant::now() + TIMEOUT;
        loop {
            let (status, body) = self.call(Method::GET, "/ready", &[]).await;
            let answer: Value = serde_json::from_str(&body).expect("JSON");
            assert_eq!(status == StatusCode::OK, answer["ready"] == true, "{body}");
            if answer["ready"] == wanted {
                return serde_json::from_value(answer["missing"].clone()).expect("texts");
            }
            assert!(tokio::time::Instant::now() < deadline, "{body}: {}", self.node.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a condition holds for a task's record; returns the record.
    async fn until_task(&self, task: Uuid, is_so: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + TIMEOUT;
        loop {
            let (status, body) = self.call(Method::GET, &format!("/api/tasks/{task}"), &[]).await;
            let record: Value = serde_json::from_str(&body).expect("JSON");
            if status == StatusCode::OK && is_so(&record) {
                return record;
            }
            assert!(tokio::time::Instant::now() < deadline, "{body}: {}", self.node.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn submit(&self, suffix: u8, sleep_ms: u64) -> Uuid {
        let meta = json!({"sleep_ms": sleep_ms});
        self.scene.submit_task(json!({"capability": capability(suffix), "meta": meta, "max_attempts": 1}))
    }

    /// Runs a `plugin` command of the binary for this node, with a token.
    async fn plugin(&self, arguments: &[&str], token: &str) -> Output {
        let mut command = Command::new(node_binary());
        command.arg("plugin").args(arguments).args(["--status-addr", &self.addr]).env("ADMIN_TOKEN", token);
        let ran = tokio::task::spawn_blocking(move || command.output()).await;
        ran.expect("it ran").expect("an output")
    }
}

#[tokio::test]
async fn ready_says_what_is_missing() {
    let scene = Scene::new().await;
    std::fs::remove_file(scene.plugins().join("noop.wasm")).expect("removed");
    let status_node = StatusNode::start(scene).await;
    assert_eq!(status_node.get("/health").await["status"], "ok");
    let missing = status_node.until_ready_is(false).await.join("\n");
    for part in ["no runner is live", "not registered", "no valid token", "DMS has not answered"] {
        assert!(missing.contains(part), "{part:?} is not in {missing}");
    }
    put(&status_node.scene.plugins(), "swap.wasm", &versioned(1_000_001, Does::Work, 0));
    status_node.until_ready_is(true).await;

    // A drain by the operator is shown, and running tasks complete.
    let task = status_node.submit(0, 3000);
    status_node.until_task(task, |record| record["state"] == "running").await;
    let auth = format!("Bearer {ADMIN_TOKEN}");
    let (status, body) =
        status_node.call(Method::POST, "/api/admin/drain", &[("authorization", &auth)]).await;
    assert_eq!((status, body.contains("\"running\":1")), (StatusCode::ACCEPTED, true), "{body}");
    let missing = status_node.until_ready_is(false).await.join("\n");
    assert!(missing.contains("draining"), "{missing}");
    let StatusNode { scene, mut node, .. } = status_node;
    assert_eq!(node.wait().await, 0, "{}", node.log());
    assert_eq!(scene.devnet.task(task).expect("known").status, TaskStatus::Completed);
}

#[tokio::test]
async fn a_task_is_shown_with_its_runner_limits_ending_and_log() {
    let scene = Scene::new().await;
    put(&scene.plugins(), "swap.wasm", &versioned(1_000_001, Does::Work, 0));
    put(&scene.plugins(), "bad.wasm", &versioned(1_000_002, Does::Fail, 1));
    let status_node = StatusNode::start(scene).await;
    let (good, bad) = (status_node.submit(0, 300), status_node.submit(1, 0));
    let good = status_node.until_task(good, |record| record["state"] == "completed").await;
    assert!(good["runner"].as_str().expect("a label").starts_with("swap 1.0.1000001 #"), "{good}");
    assert_eq!(good["progress"]["ended"], "1.0.1000001");
    let limits = good["limits"].as_array().expect("limits");
    let used = |name: &str| {
        let limit =
            limits.iter().find(|limit| limit["limit"] == name).unwrap_or_else(|| panic!("{name}: {good}"));
        (limit["used"].as_u64().expect("a number"), limit["of"].as_u64().expect("a number"))
    };
    assert!(used("memory_bytes").0 > 0 && used("memory_bytes").0 < used("memory_bytes").1);
    assert!(used("deadline_ms").0 >= 300 && used("log_bytes").0 > 0);
    assert_eq!(good["log_tail"].as_array().map(Vec::len), Some(1), "{good}");
    let (_, log) = status_node
        .call(Method::GET, &format!("/api/tasks/{}/log", good["id"].as_str().expect("id")), &[])
        .await;
    assert!(log.trim_end().ends_with(" log version 1.0.1000001"), "{log}");

    let bad = status_node.until_task(bad, |record| record["state"] == "failed").await;
    assert!(bad["reason"].as_str().expect("a reason").contains("can't do anything"), "{bad}");
    let all = status_node.get("/api/tasks").await;
    assert_eq!(all["tasks"].as_array().map(Vec::len), Some(2));
    let (status, body) = status_node.call(Method::GET, &format!("/api/tasks/{}", Uuid::nil()), &[]).await;
    assert_eq!((status, body.contains("not among the last")), (StatusCode::NOT_FOUND, true), "{body}");
    assert_eq!(
        status_node.call(Method::GET, "/api/tasks/..%2f..%2fetc", &[]).await.0,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn admin_calls_need_the_token_and_nobody_asks_by_another_name() {
    let status_node = StatusNode::start(Scene::new().await).await;
    for headers in [vec![], vec![("authorization", "Bearer wrong")], vec![("authorization", ADMIN_TOKEN)]] {
        let (status, body) = status_node.call(Method::POST, "/api/admin/rescan", &headers).await;
        assert_eq!((status, body.contains("Bearer ADMIN_TOKEN")), (StatusCode::UNAUTHORIZED, true), "{body}");
    }
    let auth = format!("Bearer {ADMIN_TOKEN}");
    let (status, body) =
        status_node.call(Method::POST, "/api/admin/rescan", &[("authorization", &auth)]).await;
    assert_eq!((status, body.contains("noop")), (StatusCode::OK, true), "{body}");
    let (status, _) = status_node.call(Method::GET, "/api/admin/rescan", &[("authorization", &auth)]).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let (status, _) = status_node.call(Method::GET, "/api/tasks", &[("host", "rebound.example")]).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(status_node.call(Method::GET, "/nothing", &[]).await.0, StatusCode::NOT_FOUND);
    assert!(!status_node.node.log().contains(ADMIN_TOKEN), "the token is in no log");

    let mut weak = status_node.scene.variables.clone();
    weak.insert("ADMIN_TOKEN".to_owned(), "letmein".to_owned());
    let mut refused = NodeProcess::run(&weak);
    assert_eq!(refused.wait().await, 2);
    refused.wait_for_log("ADMIN_TOKEN").await;
    assert!(!refused.log().contains("letmein"), "{}", refused.log());
    let mut taken = status_node.scene.variables.clone();
    taken.insert("STATUS_ADDR".to_owned(), status_node.addr.clone());
    let mut refused = NodeProcess::run(&taken);
    assert_eq!(refused.wait().await, 1);
    refused.wait_for_log("STATUS_ADDR").await;
}

#[tokio::test]
async fn without_a_token_there_are_no_admin_calls() {
    let status_node = StatusNode::start_as_is(Scene::new().await).await;
    let auth = format!("Bearer {ADMIN_TOKEN}");
    let (status, body) =
        status_node.call(Method::POST, "/api/admin/drain", &[("authorization", &auth)]).await;
    assert_eq!((status, body.contains("ADMIN_TOKEN")), (StatusCode::FORBIDDEN, true), "{body}");
}

#[tokio::test]
async fn the_command_line_lists_and_rolls_back_through_it() {
    let scene = Scene::new().await;
    put(&scene.plugins(), "swap.wasm", &versioned(1_000_001, Does::Work, 0));
    let status_node = StatusNode::start(scene).await;
    let text = |output: &Output| {
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    // The status server is up before the first runner is loaded, and the node is ready before the last one is.
    status_node.until_ready_is(true).await;
    status_node.node.wait_for_live("swap").await;
    put(&status_node.scene.plugins(), "swap.wasm", &versioned(1_000_002, Does::Work, 0));
    let rescanned = status_node.plugin(&["rescan"], ADMIN_TOKEN).await;
    assert!(rescanned.status.success(), "{}", text(&rescanned));
    let listed = text(&status_node.plugin(&["list"], "").await);
    for part in
        ["swap: ", "serves /posemesh/test/swap-00/v1", "1.0.1000002  live", "1.0.1000001  previous", "noop"]
    {
        assert!(listed.contains(part), "{part:?} is not in {listed}");
    }
    let refused = status_node.plugin(&["rollback", "swap"], "another-token-of-some-length-012").await;
    assert!(!refused.status.success() && text(&refused).contains("ADMIN_TOKEN"), "{}", text(&refused));
    let rolled_back = status_node.plugin(&["rollback", "swap.wasm"], ADMIN_TOKEN).await;
    assert!(
        rolled_back.status.success() && text(&rolled_back).contains("1.0.1000001"),
        "{}",
        text(&rolled_back)
    );
    let unknown = status_node.plugin(&["rollback", "nobody"], ADMIN_TOKEN).await;
    assert!(!unknown.status.success() && text(&unknown).contains("no runner nobody"), "{}", text(&unknown));
    let after = status_node.plugin(&["list"], "").await;
    assert_eq!(after.status.code(), Some(1), "something was refused: {}", text(&after));
    assert!(
        text(&after).contains("1.0.1000001  live") && text(&after).contains("rolled back"),
        "{}",
        text(&after)
    );
    let nobody = status_node.plugin(&["list", "--env-file", "/nonexistent"], "").await;
    assert!(!nobody.status.success() && text(&nobody).contains("/nonexistent"), "{}", text(&nobody));
}

#[tokio::test]
async fn a_drain_may_stay_and_is_resumed() {
    let status_node = StatusNode::start(Scene::new().await).await;
    status_node.until_ready_is(true).await;
    let auth = format!("Bearer {ADMIN_TOKEN}");
    let admin = async |path: &str| {
        let (status, body) = status_node.call(Method::POST, path, &[("authorization", &auth)]).await;
        (status, body)
    };
    assert_eq!(admin("/api/admin/drain?then=never").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(admin("/api/admin/drain?then=stay").await.0, StatusCode::ACCEPTED);
    let missing = status_node.until_ready_is(false).await.join("\n");
    assert!(missing.contains("draining"), "{missing}");
    let task = status_node.scene.submit_noop(Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(status_node.scene.task(task).leases.len(), 0, "a drained node takes no lease");
    assert_eq!(admin("/api/admin/resume").await.0, StatusCode::ACCEPTED);
    let ended = status_node.scene.wait_for_end(task, &status_node.node).await;
    assert_eq!(ended.status, TaskStatus::Completed);
}

#[tokio::test]
async fn the_command_line_never_speaks_to_another_node_than_the_one_meant() {
    let status_node = StatusNode::start(Scene::new().await).await;
    let run = async |plugins_dir: &std::path::Path| {
        let mut command = Command::new(node_binary());
        command
            .args(["plugin", "list"])
            .env("STATUS_ADDR", &status_node.addr)
            .env("PLUGINS_DIR", plugins_dir);
        let ran = tokio::task::spawn_blocking(move || command.output()).await;
        ran.expect("it ran").expect("an output")
    };
    let other = tempfile::tempdir().expect("a folder");
    let refused = run(other.path()).await;
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("another node"), "{text}");
    let listed = run(&status_node.scene.plugins()).await;
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
}

#[tokio::test]
async fn the_status_server_answers_while_runners_are_still_loaded() {
    let scene = Scene::new().await;
    let status_node = StatusNode::start(scene).await;
    let (status, body) = status_node.call(Method::GET, "/health", &[]).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let log = status_node.node.log();
    let at = |text: &str| log.find(text).unwrap_or(usize::MAX);
    assert!(at("the status server listens") < at("runner live"), "{log}");
}

#[tokio::test]
async fn a_node_whose_runners_all_fail_says_so_takes_no_more_work_and_is_well_when_told() {
    let scene = Scene::new().await.set("REGISTER_INTERVAL_SECS", 1);
    std::fs::remove_file(scene.plugins().join("noop.wasm")).expect("removed");
    put(&scene.plugins(), "swap.toml", b"[breaker]\nopen_secs = 3600\n");
    put(&scene.plugins(), "swap.wasm", &versioned(1_000_001, Does::Fail, 0));
    let status_node = StatusNode::start(scene).await;
    let tasks: Vec<Uuid> = (0..12).map(|_| status_node.submit(0, 0)).collect();
    let missing = status_node.until_ready_is(false).await;
    let said =
        |missing: &[String]| missing.iter().any(|one| one.contains("the circuit breaker of swap is open"));
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    let mut missing = missing;
    while !said(&missing) {
        assert!(tokio::time::Instant::now() < deadline, "{missing:?}: {}", status_node.node.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
        missing = status_node.until_ready_is(false).await;
    }
    let failed = |tasks: &[Uuid]| {
        let state = |task: &Uuid| status_node.scene.devnet.task(*task).expect("known").status;
        tasks.iter().filter(|task| state(task) == TaskStatus::Failed).count()
    };
    // The breaker opens before the last of their reports has arrived.
    let all = || (failed(&tasks) >= 5).then_some(());
    status_node.scene.wait_until("five failed tasks", &status_node.node, all).await;
    assert_eq!(failed(&tasks), 5, "the others wait for a node that can do them: {}", status_node.node.log());

    let (_, metrics) = status_node.call(Method::GET, "/metrics", &[]).await;
    for line in [
        "posemesh_node_runner_breaker_state{runner=\"swap\",state=\"open\"} 1",
        "posemesh_node_task_failures_total{kind=\"runner_error\",blame=\"runner\"} 5",
        "posemesh_node_not_ready{reason=\"nothing_served\"} 1",
        "posemesh_node_runner_failures_total{runner=\"swap\",blame=\"runner\"} 5",
        "posemesh_node_runner_failures_total{runner=\"swap\",blame=\"host\"} 0",
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line:?} is not in\n{metrics}");
    }
    let shown = status_node.get("/api/plugins").await;
    assert_eq!(shown["plugins"][0]["breaker"]["state"], "open", "{shown}");
    let shown = status_node.get("/api/status").await;
    let failures = json!([{"kind": "runner_error", "blame": "runner", "count": 5}]);
    assert_eq!(shown["hour_failures"], failures, "{shown}");
    let text = |output: &Output| {
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let listed = text(&status_node.plugin(&["list"], "").await);
    for part in [
        "serves nothing now",
        "circuit breaker open for another",
        "5 runs in a row failed",
        "can't do anything",
    ] {
        assert!(listed.contains(part), "{part:?} is not in {listed}");
    }
    let refused = status_node.plugin(&["close-breaker", "swap"], "another-token-of-some-length-012").await;
    assert!(!refused.status.success() && text(&refused).contains("ADMIN_TOKEN"), "{}", text(&refused));
    let unknown = status_node.plugin(&["close-breaker", "nobody"], ADMIN_TOKEN).await;
    assert!(!unknown.status.success() && text(&unknown).contains("no runner nobody"), "{}", text(&unknown));

    // A version that works comes, and takes the tasks that are left.
    put(&status_node.scene.plugins(), "swap.wasm", &versioned(1_000_002, Does::Work, 0));
    status_node.until_ready_is(true).await;
    for task in &tasks[5..] {
        status_node.scene.wait_for_end(*task, &status_node.node).await;
    }
    assert_eq!(failed(&tasks), 5);
    let closed = status_node.plugin(&["close-breaker", "swap.wasm"], ADMIN_TOKEN).await;
    assert!(closed.status.success() && text(&closed).contains("was closed already"), "{}", text(&closed));
}
