//! What operators see of a node: its page and the stream behind it, `status`, `diag`, `log-level`, and a log that programs read.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use posemesh_devnet::{DevnetConfig, Endpoint, Fault, TaskStatus};
use posemesh_tests::{ADMIN_TOKEN, NodeProcess, Scene, TIMEOUT, http_client, node_binary};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

/// A node with a status server.
async fn node_with_status(scene: Scene) -> (Scene, NodeProcess, String) {
    let scene = scene.set("STATUS_ADDR", "127.0.0.1:0").set("ADMIN_TOKEN", ADMIN_TOKEN);
    let node = scene.node();
    let addr = node.status_addr().await;
    (scene, node, addr)
}

async fn get(addr: &str, path: &str) -> (StatusCode, String) {
    let response = http_client().get(format!("http://{addr}{path}")).send().await.expect("an answer");
    (response.status(), response.text().await.expect("a body"))
}

/// Asks until `/api/status` is as wanted.
async fn until(addr: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let (_, body) = get(addr, "/api/status").await;
        let status: Value = serde_json::from_str(&body).expect("JSON");
        if is_so(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "{what} never was: {body}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// A command of the binary for the node of a scene, with a token.
async fn command(scene: &Scene, addr: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(node_binary());
    command.args(arguments).args(["--status-addr", addr]);
    command.env_clear().envs(&scene.variables).current_dir(scene.work());
    tokio::task::spawn_blocking(move || command.output()).await.expect("it ran").expect("an output")
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn the_page_brings_everything_with_it_and_follows_the_node() {
    let (scene, mut node, addr) = node_with_status(Scene::new().await).await;
    let response = http_client().get(format!("http://{addr}/")).send().await.expect("an answer");
    let policy = response.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("connect-src 'self'"), "{policy}");
    assert!(response.headers()["content-type"].to_str().expect("text").starts_with("text/html"));
    let page = response.text().await.expect("a page");
    let from_elsewhere = page.replace("http://www.w3.org/2000/svg", "");
    for foreign in ["http:", "https:", "src=", "@import", "url(", "innerHTML", "document.write", "eval("] {
        assert!(!from_elsewhere.contains(foreign), "the page has {foreign:?}");
    }
    for part in ["prefers-color-scheme: dark", "name=\"viewport\"", "EventSource(\"api/events\")"] {
        assert!(page.contains(part), "{part:?} is not in the page");
    }

    let mut stream = http_client().get(format!("http://{addr}/api/events")).send().await.expect("a stream");
    assert!(stream.headers()["content-type"].to_str().expect("text").starts_with("text/event-stream"));
    let task = scene.submit_noop(Duration::from_millis(10));
    assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed);
    let mut text = String::new();
    let seen = async {
        loop {
            let chunk = stream.chunk().await.expect("it goes on").expect("it goes on");
            text += std::str::from_utf8(&chunk).expect("text");
            let events = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
            let mut events = events.filter_map(|event| serde_json::from_str::<Value>(event).ok());
            if let Some(event) =
                events.find(|event| event["totals"]["completed"] == 1 && event["state"] == "ready")
            {
                return event;
            }
        }
    };
    let event = timeout(TIMEOUT, seen).await.unwrap_or_else(|_| panic!("no such event: {}", node.log()));
    assert_eq!(event["tasks"][0]["id"], task.to_string());
    assert_eq!((&event["dds"]["registered"], &event["capacity"]["slots"]), (&json!(true), &json!(1)));
    assert_eq!(event["hour"][0]["completed"], 1, "{event}");
    assert_eq!(event["tasks"][0]["lease_ends_in_ms"], json!(null), "it is over: {event}");
    assert_eq!(event["plugins"][0]["generations"][0]["granted"], json!(["variables: NOOP_SLEEP_SECS"]));
    let settings = event["settings"].as_array().expect("settings");
    assert!(settings.iter().any(|one| one[0] == "REG_SECRET" && one[1] == "[redacted]"), "{settings:?}");
    assert!(!text.contains(&scene.variables["REG_SECRET"]) && !text.contains(ADMIN_TOKEN), "{text}");

    assert_eq!(node.terminate().await, 0, "an open page holds nothing up");
    let ended = timeout(TIMEOUT, async { while let Ok(Some(_)) = stream.chunk().await {} }).await;
    assert!(ended.is_ok(), "the stream ends with the node");
}

#[tokio::test]
async fn pages_that_stay_open_leave_room_for_health_checks() {
    let (_scene, _node, addr) = node_with_status(Scene::new().await).await;
    let mut streams = Vec::new();
    let refused = loop {
        let stream = http_client().get(format!("http://{addr}/api/events")).send().await.expect("an answer");
        match stream.status() {
            StatusCode::OK => streams.push(stream),
            refused => break refused,
        }
        assert!(streams.len() < 64, "there is no bound");
    };
    assert_eq!(refused, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get(&addr, "/health").await.0, StatusCode::OK);
    drop(streams);
    let deadline = Instant::now() + TIMEOUT;
    while get_head(&addr).await != StatusCode::OK {
        assert!(Instant::now() < deadline, "the places are never free again");
        sleep(Duration::from_millis(100)).await;
    }
}

async fn get_head(addr: &str) -> StatusCode {
    http_client().get(format!("http://{addr}/api/events")).send().await.expect("an answer").status()
}

#[tokio::test]
async fn the_terminal_shows_what_the_page_shows() {
    let (scene, node, addr) = node_with_status(Scene::new().await).await;
    until(&addr, "ready", |status| status["state"] == "ready").await;
    let task = scene.submit_noop(Duration::from_millis(10));
    scene.wait_for_end(task, &node).await;
    until(&addr, "the end of the task", |status| status["totals"]["completed"] == 1).await;
    until(&addr, "ready", |status| status["state"] == "ready").await;
    let shown = command(&scene, &addr, &["status"]).await;
    let text = printed(&shown);
    assert_eq!(shown.status.code(), Some(0), "{text}");
    assert!(text.starts_with("READY  0x"), "{text}");
    for part in [
        "0 of 1 tasks",
        "1 completed",
        "last poll ",
        "settings  ",
        "threads",
        "noop 0.1.0 #1: serves /posemesh/noop/v1",
        &task.to_string(),
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let answer = command(&scene, &addr, &["status", "--json"]).await;
    let answer: Value = serde_json::from_slice(&answer.stdout).expect("JSON");
    assert_eq!(answer["state"], "ready");
    let drained = command(&scene, &addr, &["drain", "--stay"]).await;
    assert!(drained.status.success(), "{}", printed(&drained));
    let shown = command(&scene, &addr, &["status"]).await;
    assert_eq!(shown.status.code(), Some(1));
    assert!(printed(&shown).starts_with("DRAINING"), "{}", printed(&shown));
}

#[tokio::test]
async fn a_pause_says_why_and_ends_at_its_time_or_when_it_is_undone() {
    let (scene, node, addr) = node_with_status(Scene::new().await).await;
    until(&addr, "ready", |status| status["state"] == "ready").await;
    let paused = command(&scene, &addr, &["pause", "--note", "new disk\u{1b}[2J", "--for", "30"]).await;
    assert!(printed(&paused).starts_with("paused for 30 minutes: 0 tasks"), "{}", printed(&paused));
    let status = until(&addr, "paused", |status| status["state"] == "paused").await;
    let missing = status["missing"].to_string();
    assert!(
        missing.contains("it is paused for another ") && missing.contains(r"new disk\\u{1b}[2J"),
        "{missing}"
    );
    let (_, metrics) = get(&addr, "/metrics").await;
    assert!(metrics.contains("posemesh_node_not_ready{reason=\"paused\"} 1"), "{metrics}");
    let resumed = command(&scene, &addr, &["resume"]).await;
    assert!(resumed.status.success(), "{}", printed(&resumed));
    until(&addr, "ready", |status| status["state"] == "ready").await;
    let auth = format!("Bearer {ADMIN_TOKEN}");
    let call = async |query: &str| {
        let request = http_client().post(format!("http://{addr}/api/admin/pause{query}"));
        request.header("authorization", &auth).send().await.expect("an answer").status()
    };
    assert_eq!(call("?secs=0").await, StatusCode::BAD_REQUEST);
    assert_eq!(call("?secs=1").await, StatusCode::ACCEPTED);
    node.wait_for_log("the time of the pause is over").await;
    let task = scene.submit_noop(Duration::from_millis(10));
    assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed);
}

#[tokio::test]
async fn what_is_packed_for_others_has_no_secret() {
    let scene = Scene::new().await.set("LOG_FORMAT", "json");
    let log = scene.work().join("node.log");
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("one").port();
    let addr = format!("127.0.0.1:{port}");
    let scene =
        scene.set("LOG_FILE", log.display()).set("STATUS_ADDR", &addr).set("ADMIN_TOKEN", ADMIN_TOKEN);
    let node = scene.node();
    scene.wait_for_work_wanted(&node).await;
    assert_eq!(node.log(), "", "nothing goes to standard error");
    let mode = std::fs::metadata(&log).expect("the file of the log").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let packed = command(&scene, &addr, &["diag", "--doctor"]).await;
    assert!(packed.status.success(), "{}", printed(&packed));
    let path = scene.work().join("posemesh-diag.json");
    assert_eq!(std::fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).expect("the file");
    for name in ["REG_SECRET", "SECP256K1_PRIVHEX", "ADMIN_TOKEN"] {
        assert!(!text.contains(&scene.variables[name]), "{name} is in it");
    }
    let packed: Value = serde_json::from_str(&text).expect("JSON");
    let lines = |value: &Value| value.as_array().map(Vec::len).unwrap_or_default();
    assert!(lines(&packed["configuration"]["settings"]) > 50, "{text}");
    assert!(packed["node"]["status"]["missing"].is_array(), "{text}");
    assert!(lines(&packed["node"]["metrics"]) > 10 && lines(&packed["node"]["log"]) > 5, "{text}");
    assert!(lines(&packed["log_file"]) > 5 && lines(&packed["doctor"]) > 5, "{text}");
}

#[tokio::test]
async fn the_log_is_made_louder_while_the_node_runs() {
    let (scene, node, addr) = node_with_status(Scene::new().await).await;
    scene.wait_for_work_wanted(&node).await;
    assert!(!node.log().contains("no work"), "{}", node.log());
    let changed = command(&scene, &addr, &["log-level", "info,posemesh_node_core::worker=debug"]).await;
    assert!(printed(&changed).contains("before: info"), "{}", printed(&changed));
    node.wait_for_log("no work").await;
    assert_eq!(until(&addr, "it", |_| true).await["log"]["filter"], "info,posemesh_node_core::worker=debug");
    let wrong = command(&scene, &addr, &["log-level", "posemesh=loud"]).await;
    assert_eq!(wrong.status.code(), Some(1));
    assert!(printed(&wrong).contains("is no log filter"), "{}", printed(&wrong));
    let mut without = scene.variables.clone();
    without.remove("ADMIN_TOKEN");
    let mut refused = Command::new(node_binary());
    refused.args(["log-level", "debug", "--status-addr", &addr]).env_clear().envs(without);
    let refused =
        tokio::task::spawn_blocking(move || refused.output()).await.expect("it ran").expect("an output");
    assert_eq!(refused.status.code(), Some(1));
}

#[tokio::test]
async fn the_last_lines_of_the_log_are_told_to_this_machine() {
    let (_scene, node, addr) = node_with_status(Scene::new().await).await;
    node.wait_for_log("the worker takes leases").await;
    let deadline = Instant::now() + TIMEOUT;
    while !get(&addr, "/api/log").await.1.contains("the worker takes leases") {
        assert!(Instant::now() < deadline, "{}", get(&addr, "/api/log").await.1);
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_long_task_is_shown_for_as_long_as_it_runs_however_many_have_ended_since() {
    let config = DevnetConfig { leases_per_node: 2, ..DevnetConfig::default() };
    let scene = Scene::with(config).await.set("MAX_CONCURRENCY", 2);
    let (scene, node, addr) = node_with_status(scene).await;
    let long = scene.submit_noop(Duration::from_secs(600));
    until(&addr, "running", |status| status["capacity"]["running"] == 1).await;
    let short: Vec<_> = (0..40).map(|_| scene.submit_noop(Duration::from_millis(1))).collect();
    for task in short {
        assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed);
    }
    let status = until(&addr, "40 tasks", |status| status["totals"]["completed"] == 40).await;
    let tasks = status["tasks"].as_array().expect("tasks");
    let of_long = tasks.iter().find(|task| task["id"] == long.to_string()).map(|task| &task["state"]);
    assert_eq!((of_long, tasks.len()), (Some(&json!("running")), 33), "{status}: {}", node.log());
    let capacity = &status["capacity"];
    assert!(capacity["threads"].as_u64().is_some_and(|threads| threads > 1), "{capacity}");
    let promised = capacity["memory_promised"].as_u64().unwrap_or_default();
    assert!(promised > 0 && promised <= capacity["memory_budget"].as_u64().unwrap_or_default(), "{capacity}");
    assert!(capacity["memory_used"].as_u64().is_some_and(|used| used > 0), "{capacity}");
    assert_eq!(capacity["descriptors_low"], false, "{capacity}");
    assert!(capacity["memory_low"].is_boolean() && status["commit"].is_string(), "{status}");
    assert_eq!(status["tasks_left_out"], 0);
    let shown = printed(&command(&scene, &addr, &["status"]).await);
    assert!(shown.contains(&format!("{long}  running")), "{shown}");
}

#[tokio::test]
async fn a_job_server_that_answers_with_a_page_is_told_as_such() {
    let scene = Scene::new().await;
    let page = "<html><form>log in\u{1b}[2J</form></html>";
    scene.devnet.faults().add(Fault::answer(200, page).on(Endpoint::Lease));
    let (_scene, _node, addr) = node_with_status(scene).await;
    let why = "its answer is no lease (the answer is not JSON (line 1, column 1)); is DMS_BASE_URL right";
    let told = |status: &Value| status["dms"]["error"].as_str().is_some_and(|error| error.contains(why));
    let status = until(&addr, "the reason", told).await;
    assert_eq!(status["dms"]["last_poll"], "unreadable", "{status}");
    let (ready, body) = get(&addr, "/ready").await;
    assert_eq!(ready, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("DMS has not answered a request for work yet") && body.contains(why), "{body}");
    assert!(!body.contains("<html>"), "{body}");
}

/// Whether a text looks like a duration as Rust prints it: `3.25s`, `80ms`, `12.5µs`.
fn is_duration(text: &str) -> bool {
    let number = text.trim_end_matches(['s', 'm', 'µ', 'n']);
    number.len() < text.len() && text.ends_with('s') && number.parse::<f64>().is_ok()
}

/// Every line of a log as JSON; panics at one that is not.
fn lines(log: &str) -> Vec<Value> {
    let parsed =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    parsed.collect()
}

#[tokio::test]
async fn every_line_of_the_log_is_json_with_a_message_and_numbers() {
    let scene = Scene::new().await.set("LOG_FORMAT", "json").set("RUST_LOG", "debug,h2=off,hyper=off");
    // DMS fails now and then, so that retries are logged too.
    scene.devnet.faults().add(Fault::answer(503, "no").on(Endpoint::Heartbeat).times(1));
    scene.devnet.faults().add(Fault::answer(503, "no").on(Endpoint::Complete).times(1));
    scene.devnet.faults().add(Fault::answer(503, "no").on(Endpoint::Lease).times(1));
    scene.devnet.faults().add(Fault::answer(503, "no").on(Endpoint::RegisterWallet).times(1));
    let mut node = scene.node();
    let task = scene.submit_noop(Duration::from_millis(200));
    assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed);
    node.wait_for_log("lease completed").await;
    assert_eq!(node.terminate().await, 0);
    let log = node.log();
    let lines = lines(&log);
    for line in &lines {
        for field in ["timestamp", "level", "message", "target"] {
            assert!(line[field].as_str().is_some_and(|text| !text.is_empty()), "{field} is missing: {line}");
        }
        let fields = line.as_object().expect("an object");
        let debug = fields.iter().find(|(_, value)| value.as_str().is_some_and(is_duration));
        assert!(debug.is_none(), "{debug:?} in {line}");
    }
    let first = &lines[0];
    assert_eq!(first["message"], "posemesh-node starts");
    assert!(first["version"].is_string() && first["settings"]["MAX_CONCURRENCY"] == "1", "{first}");
    assert_eq!(first["settings"]["REG_SECRET"], "[redacted]");
    assert!(!log.contains(&scene.variables["REG_SECRET"]));
    let ended = lines.iter().find(|line| line["message"] == "lease completed").expect("the line");
    assert!(ended["took_ms"].as_u64().is_some_and(|took| took >= 200), "{ended}");
    assert_eq!(ended["runner"], "noop 0.1.0 #1");
    assert!(ended["bytes_in"].is_u64() && ended["bytes_out"].is_u64(), "{ended}");
}

#[tokio::test]
async fn what_keeps_a_node_from_starting_is_json_as_well() {
    let scene = Scene::new().await.set("LOG_FORMAT", "json");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = taken.local_addr().expect("one").to_string();
    let unset = PathBuf::from("/nowhere/.env").display().to_string();
    let cases: [(&str, &str, &[&str], i32, &str); 4] = [
        ("STATUS_ADDR", &addr, &["run"], 1, "STATUS_ADDR"),
        ("MAX_CONCURRENCY", "0", &["run"], 2, "MAX_CONCURRENCY"),
        ("LOG_FILE", "/nowhere/node.log", &["run"], 1, "LOG_FILE /nowhere/node.log"),
        ("CLIENT_ID", "x", &["run", "--env-file", &unset], 2, "/nowhere/.env"),
    ];
    for (name, value, arguments, code, said) in cases {
        let mut variables: BTreeMap<String, String> = scene.variables.clone();
        variables.insert(name.to_owned(), value.to_owned());
        let mut node = NodeProcess::start(&node_binary(), arguments, &variables);
        assert_eq!(node.wait().await, code, "{}", node.log());
        node.wait_for_log(said).await;
        let log = node.log();
        let lines = lines(&log);
        let last = lines.last().expect("a line");
        assert_eq!(last["level"], "ERROR", "{last}");
        assert!(last["message"].as_str().is_some_and(|text| text.contains(said)), "{last}");
    }
}

#[tokio::test]
async fn a_refused_registration_says_why_where_one_looks() {
    let scene = Scene::new().await;
    scene.devnet.faults().add(Fault::answer(403, "this wallet is banned").on(Endpoint::RegisterWallet));
    let (scene, node, addr) = node_with_status(scene).await;
    let why = "DDS answered 403 Forbidden: this wallet is banned";
    let missing = |status: &Value| {
        status["missing"].as_array().expect("texts").iter().any(|text| {
            text.as_str().is_some_and(|text| text.contains("not registered") && text.contains(why))
        })
    };
    let status = until(&addr, "the reason", missing).await;
    assert!(status["dds"]["error"].as_str().is_some_and(|error| error.contains(why)), "{status}");
    let (ready, body) = get(&addr, "/ready").await;
    assert_eq!((ready, body.contains(why)), (StatusCode::SERVICE_UNAVAILABLE, true), "{body}");
    drop((scene, node));
}

#[tokio::test]
async fn a_set_up_that_fails_says_why_where_one_looks() {
    let (scene, node, addr) = node_with_status(Scene::new().await).await;
    until(&addr, "ready", |status| status["state"] == "ready").await;
    let no_url = || Fault::merge(json!({"domain_server_url": null}));
    scene.devnet.faults().add(no_url().on(Endpoint::Lease).times(1));
    scene.devnet.faults().add(no_url().on(Endpoint::Heartbeat).times(1));
    let task = scene.submit(posemesh_tests::NOOP, &json!({"sleep_ms": 0}), 1).1;
    let ended = scene.wait_for_end(task, &node).await;
    assert_eq!(ended.failures[0].reason, "node_setup_failed", "the server is told a word: {ended:?}");
    let is_ended = |status: &Value| status["totals"]["failed"] == 1;
    let status = until(&addr, "the end of the task", is_ended).await;
    let reason = status["tasks"][0]["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.starts_with("node_setup_failed: build_ports: "), "{reason}");
    node.wait_for_log("lease failed: node_setup_failed: build_ports: ").await;
}

#[tokio::test]
async fn a_server_that_can_not_be_reached_is_named_with_its_port() {
    let scene = Scene::new().await.set("DMS_BASE_URL", "http://127.0.0.1:1/v1");
    let (_scene, node, addr) = node_with_status(scene).await;
    let error = |status: &Value| status["dms"]["error"].as_str().map(str::to_owned);
    let status = until(&addr, "an error of DMS", |status| error(status).is_some()).await;
    let error = error(&status).expect("an error");
    assert!(error.contains("could not connect to 127.0.0.1:1: ") && error.contains("refused"), "{error}");
    let servers = status["servers"].as_array().expect("servers").clone();
    let of =
        |kind: &str| servers.iter().find(|server| server["kind"] == kind).cloned().expect("it was asked");
    let (dds, dms) = (of("dds"), of("dms"));
    assert_eq!(
        (&dds["failed"], &dds["error"], &dds["failed_secs_ago"]),
        (&json!(0), &json!(null), &json!(null))
    );
    assert!(dds["requests"].as_u64() > Some(0) && dds["succeeded_secs_ago"].is_u64(), "{dds}");
    assert!(dds["clock_ahead_secs"].is_number(), "{dds}");
    assert!(dms["failed"].as_u64() > Some(0) && dms["failed"] == dms["requests"], "{dms}");
    assert!(dms["error"].as_str().is_some_and(|error| error.contains("refused")), "{dms}");
    assert_eq!(dms["through"], "127.0.0.1:1");
    node.wait_for_log("could not connect to 127.0.0.1:1").await;
}
