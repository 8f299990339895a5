//! The node's Unix socket: commands on its machine without a token; and what other machines may read without one.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use posemesh_tests::guests::SPIN_IN_DESCRIBE;
use posemesh_tests::versions::put;
use posemesh_tests::{ADMIN_TOKEN, NodeProcess, Scene, TIMEOUT, http_client, node_binary};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::{Instant, sleep};

async fn command(scene: &Scene, variables: &BTreeMap<String, String>, arguments: &[&str]) -> Output {
    let mut command = Command::new(node_binary());
    command.args(arguments).env_clear().envs(variables).current_dir(scene.work());
    tokio::task::spawn_blocking(move || command.output()).await.expect("it ran").expect("an output")
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The sockets below the scene's `WORK_DIR`.
fn sockets(scene: &Scene) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(&scene.variables["WORK_DIR"]) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path().join("control.sock")).filter(|path| path.exists()).collect()
}

/// What a socket answers.
async fn ask(socket: PathBuf, request: &'static str) -> String {
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = UnixStream::connect(socket)?;
        stream
            .write_all(format!("{request} HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    });
    asked.await.expect("it ran").expect("an answer")
}

#[tokio::test]
async fn commands_on_the_nodes_machine_need_neither_a_token_nor_an_address() {
    // STATUS_ADDR is off.
    let scene = Scene::new().await;
    let mut node = scene.node();
    node.wait_for_log("the control socket listens").await;
    scene.wait_for_work_wanted(&node).await;
    let socket = sockets(&scene).pop().expect("a socket");
    assert_eq!(fs::symlink_metadata(&socket).expect("it is there").permissions().mode() & 0o777, 0o600);
    assert_eq!(socket.parent().expect("a folder").metadata().expect("it is there").mode() & 0o777, 0o700);

    // All that a command has to know is which node is meant.
    let known = |names: &[&str]| -> BTreeMap<String, String> {
        names.iter().map(|name| ((*name).to_owned(), scene.variables[*name].clone())).collect()
    };
    let known = known(&["WORK_DIR", "PLUGINS_DIR", "STATUS_ADDR"]);
    for (arguments, said) in [
        (&["status"][..], "noop"),
        (&["plugin", "list"], "noop"),
        (&["log-level", "debug"], "the node logs debug now; before: info"),
        (&["plugin", "rescan"], "noop"),
        (&["plugin", "close-breaker", "noop"], "was closed already"),
        (&["pause", "--note", "new disk"], "0 tasks are running"),
        (&["resume"], "takes leases again"),
        (&["reload"], "no setting has changed"),
    ] {
        let output = command(&scene, &known, arguments).await;
        let text = printed(&output);
        let is_ready_or_not = arguments[0] == "status";
        assert!((output.status.success() || is_ready_or_not) && text.contains(said), "{arguments:?}: {text}");
    }
    let rolled_back = printed(&command(&scene, &known, &["plugin", "rollback", "noop"]).await);
    assert!(rolled_back.contains("409"), "it was asked: {rolled_back}");
    let drained = command(&scene, &known, &["drain"]).await;
    assert!(drained.status.success(), "{}", printed(&drained));
    assert_eq!(node.wait().await, 0);
    assert_eq!(sockets(&scene), Vec::<PathBuf>::new(), "it goes with its node");
    let output = command(&scene, &known, &["resume"]).await;
    let text = printed(&output);
    assert!(
        !output.status.success() && text.contains("no control socket of a running node is found below"),
        "{text}"
    );
}

#[tokio::test]
async fn a_rescan_names_what_it_has_not_waited_for() {
    let scene = Scene::new().await;
    let node = scene.node();
    scene.wait_for_work_wanted(&node).await;
    let socket = sockets(&scene).pop().expect("a socket");
    // Not done before its time to describe itself is over.
    put(&scene.plugins(), "second.wasm", &SPIN_IN_DESCRIBE.bytes());
    let answer = ask(socket.clone(), "POST /api/admin/rescan?wait_secs=0").await;
    assert!(answer.contains(" 200 ") && answer.contains("\"still_loading\":[\"second\"]"), "{answer}");
    let answer = ask(socket.clone(), "POST /api/admin/reload").await;
    assert!(answer.contains("\"still_loading\":[]"), "{answer}");
    assert!(ask(socket.clone(), "GET /api/plugins").await.contains("second"), "{}", node.log());
    let wrong = ask(socket, "POST /api/admin/rescan?wait_secs=soon").await;
    assert!(wrong.contains(" 400 "), "{wrong}");
}

#[tokio::test]
async fn what_a_killed_node_left_misleads_nobody_and_a_socket_that_was_taken_away_comes_back() {
    let scene = Scene::new().await;
    let mut killed = scene.node();
    killed.wait_for_log("the control socket listens").await;
    killed.kill().await;
    let left = sockets(&scene);
    assert_eq!(left.len(), 1);
    let node = scene.node();
    node.wait_for_log("the control socket listens").await;
    scene.wait_for_work_wanted(&node).await;
    let paused = command(&scene, &scene.variables, &["pause"]).await;
    assert!(paused.status.success(), "{}", printed(&paused));
    let socket = sockets(&scene).into_iter().find(|path| *path != left[0]).expect("the new one's");
    fs::remove_file(&socket).expect("taken away");
    node.wait_for_log("the control socket is gone; it is made again").await;
    let deadline = Instant::now() + TIMEOUT;
    while !command(&scene, &scene.variables, &["resume"]).await.status.success() {
        assert!(Instant::now() < deadline, "it does not come back: {}", node.log());
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn of_two_nodes_with_the_same_folders_one_has_to_be_named() {
    let scene = Scene::new().await;
    let (first, second) = (scene.node(), scene.node());
    for node in [&first, &second] {
        node.wait_for_log("the control socket listens").await;
    }
    let output = command(&scene, &scene.variables, &["pause"]).await;
    let text = printed(&output);
    assert!(
        !output.status.success() && text.contains("2 running nodes have this WORK_DIR and PLUGINS_DIR"),
        "{text}"
    );
    for node in [&first, &second] {
        assert!(text.contains(&format!("process {}: the control socket ", node.id())), "{text}");
    }
    let socket = sockets(&scene).pop().expect("a socket").display().to_string();
    let output = command(&scene, &scene.variables, &["pause", "--socket", &socket]).await;
    assert!(output.status.success(), "{}", printed(&output));
}

#[tokio::test]
async fn a_node_whose_work_dir_was_changed_in_the_settings_is_found_and_says_that_it_needs_a_restart() {
    let scene = Scene::new().await.set("STATUS_ADDR", "127.0.0.1:0");
    let file = scene.work().join("posemesh-node.toml");
    let work_dir = |folder: &str| format!("work_dir = {:?}\n", scene.work().join(folder));
    fs::write(&file, work_dir("work")).expect("a file");
    let mut variables = scene.variables.clone();
    variables.remove("WORK_DIR");
    variables.insert("POSEMESH_CONFIG".to_owned(), file.display().to_string());
    let node = NodeProcess::run(&variables);
    let addr = node.status_addr().await;
    node.wait_for_log("the control socket listens").await;
    variables.insert("STATUS_ADDR".to_owned(), addr);
    fs::write(&file, work_dir("elsewhere")).expect("a file");
    let output = command(&scene, &variables, &["reload"]).await;
    let text = printed(&output);
    let says = "WORK_DIR: has changed, and takes effect with the next start of the node";
    assert!(output.status.success() && text.contains(says), "no token is needed: {text}\n{}", node.log());
}

#[tokio::test]
async fn a_socket_at_a_chosen_path_is_there_or_the_node_is_not() {
    let scene = Scene::new().await;
    // Longer than an address of a socket.
    let folder = scene.work().join("a".repeat(150));
    fs::create_dir(&folder).expect("a folder");
    let path = folder.join("node.sock");
    let scene = scene.set("CONTROL_SOCKET", path.display());
    let node = scene.node();
    node.wait_for_log("the control socket listens").await;
    let output = command(&scene, &scene.variables, &["pause"]).await;
    assert!(output.status.success(), "{}", printed(&output));
    let mut second = scene.node();
    assert_eq!(second.wait().await, 1);
    second.wait_for_log("another node listens there").await;
    let off = BTreeMap::from_iter(scene.variables.clone().into_iter().map(|(name, value)| {
        let value = if name == "CONTROL_SOCKET" { "off".to_owned() } else { value };
        (name, value)
    }));
    let output = command(&scene, &off, &["pause"]).await;
    assert!(!output.status.success() && printed(&output).contains("STATUS_ADDR=off"), "{}", printed(&output));
}

#[tokio::test]
async fn calls_by_the_socket_are_recorded_with_who_called() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("audit.jsonl");
    let scene = Scene::new().await.set("AUDIT_LOG", log.display());
    let node = scene.node();
    node.wait_for_log("the control socket listens").await;
    let socket = sockets(&scene).pop().expect("a socket");
    let answer = ask(socket, "POST /api/admin/log?filter=debug").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let deadline = Instant::now() + TIMEOUT;
    let call = loop {
        let text = fs::read_to_string(&log).expect("the audit log");
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        if let Some(call) = lines.into_iter().find(|line| line["event"] == "admin_call") {
            break call;
        }
        assert!(Instant::now() < deadline, "no such line: {text}");
        sleep(Duration::from_millis(50)).await;
    };
    let from = format!(", process {}", std::process::id());
    let who = call["from"].as_str().expect("a caller");
    assert!(who.starts_with("user ") && who.ends_with(&from), "{call}");
}

/// An address of this machine that is not loopback; none if there is none.
fn address_of_this_machine() -> Option<std::net::IpAddr> {
    // Nothing is sent: the kernel only looks up which address it would send from.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[tokio::test]
async fn other_machines_see_health_readiness_and_metrics_and_the_rest_with_a_token() {
    const STATUS_TOKEN: &str = "a-status-token-of-some-length-4567";
    let scene = Scene::new()
        .await
        .set("STATUS_ADDR", "0.0.0.0:0")
        .set("ADMIN_TOKEN", ADMIN_TOKEN)
        .set("STATUS_TOKEN", STATUS_TOKEN);
    let node = NodeProcess::run(&scene.variables);
    let port = node.status_addr().await.rsplit(':').next().expect("a port").to_owned();
    scene.wait_for_work_wanted(&node).await;
    let get = async |host: &str, path: &str, token: &str| {
        let mut request = http_client().get(format!("http://{host}:{port}{path}"));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.expect("an answer");
        (response.status(), response.text().await.expect("a body"))
    };
    // As a web page in a browser on this machine, and as another machine if this one has an address.
    let elsewhere = address_of_this_machine().map(|ip| ip.to_string());
    if elsewhere.is_none() {
        eprintln!("this machine has no other address than loopback: not asked from there");
    }
    if let Some(host) = elsewhere.as_deref() {
        for path in ["/health", "/metrics"] {
            assert_eq!(get(host, path, "").await.0, StatusCode::OK, "{path}");
        }
        let (_, ready) = get(host, "/ready", "").await;
        let ready: Value = serde_json::from_str(&ready).expect("JSON");
        assert_eq!(ready.as_object().expect("an object").keys().collect::<Vec<_>>(), ["ready"]);
        for path in ["/", "/api/status", "/api/events", "/api/node", "/api/log", "/api/plugins", "/api/tasks"]
        {
            let (status, body) = get(host, path, "").await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}: {body}");
            assert!(body.contains("STATUS_TOKEN"), "{body}");
            assert_eq!(get(host, path, "wrong").await.0, StatusCode::UNAUTHORIZED, "{path}");
        }
        assert_eq!(get(host, "/api/status", STATUS_TOKEN).await.0, StatusCode::OK);
        assert_eq!(get(host, "/api/status", ADMIN_TOKEN).await.0, StatusCode::OK);
        assert_eq!(
            get(host, "/api/log", STATUS_TOKEN).await.0,
            StatusCode::FORBIDDEN,
            "the log is for this machine"
        );
        assert_eq!(get(host, "/api/log", ADMIN_TOKEN).await.0, StatusCode::OK);
        let url = format!("http://{host}:{port}/api/admin/resume");
        let read_only = http_client().post(url).bearer_auth(STATUS_TOKEN).send().await.expect("an answer");
        assert_eq!(read_only.status(), StatusCode::UNAUTHORIZED, "who may read may not command");
    }
    let (status, body) = get("127.0.0.1", "/api/status", "").await;
    assert_eq!(status, StatusCode::OK, "on this machine: {body}");
    let named =
        http_client().get(format!("http://127.0.0.1:{port}/api/status")).header("host", "evil.example");
    let named = named.send().await.expect("an answer").status();
    assert_eq!(named, StatusCode::UNAUTHORIZED, "by another name");
    assert!(!node.log().contains(STATUS_TOKEN), "no token in the log");
}
