//! The settings file, `config check`, and settings that are read again while the node runs.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use posemesh_devnet::{DevnetConfig, TaskStatus};
use posemesh_tests::{ADMIN_TOKEN, NodeProcess, Scene, TIMEOUT, http_client, node_binary};
use serde_json::Value;
use tokio::time::{Instant, sleep};

async fn run(variables: BTreeMap<String, String>, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(node_binary());
    command.args(arguments).env_clear().envs(variables).current_dir(folder);
    tokio::task::spawn_blocking(move || command.output()).await.expect("it ran").expect("an output")
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A text of TOML.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// All of a scene's settings in a file in place of the environment.
fn in_a_file(scene: &Scene, more: &str) -> PathBuf {
    let numbers = ["POLL_BACKOFF_MS_MIN", "POLL_BACKOFF_MS_MAX", "HEARTBEAT_JITTER_MS", "ENABLE_NOOP"];
    let mut text = String::new();
    for (name, value) in &scene.variables {
        let value = if numbers.contains(&name.as_str()) { value.clone() } else { quoted(value) };
        text += &format!("{} = {value}\n", name.to_lowercase());
    }
    let path = scene.work().join("posemesh-node.toml");
    fs::write(&path, text + more).expect("written");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("closed");
    path
}

#[tokio::test]
async fn a_node_runs_by_its_settings_file_alone_wherever_it_is_named() {
    let scene = Scene::new().await.set("STATUS_ADDR", "127.0.0.1:0");
    let path = in_a_file(&scene, "max_concurrency = 2\n");
    let shown = path.display().to_string();
    let by_variable = BTreeMap::from([("POSEMESH_CONFIG".to_owned(), shown.clone())]);
    let folder = tempfile::tempdir().expect("a folder");
    // In the working directory, by the argument, by the variable.
    for (variables, folder, arguments) in [
        (BTreeMap::new(), scene.work(), vec!["config", "check"]),
        (BTreeMap::new(), folder.path(), vec!["config", "check", "--config", &shown]),
        (by_variable.clone(), folder.path(), vec!["config", "check"]),
    ] {
        let output = run(variables, folder, &arguments).await;
        let text = printed(&output);
        assert!(output.status.success() && text.contains("\nMAX_CONCURRENCY=2\n"), "{arguments:?}: {text}");
        assert!(text.contains("# settings file ") && text.contains("posemesh-node.toml\n"), "{text}");
        assert!(!text.contains(&scene.variables["REG_SECRET"]), "{text}");
    }
    let over = BTreeMap::from([("MAX_CONCURRENCY".to_owned(), "3".to_owned())]);
    let text = printed(&run(over, scene.work(), &["config", "check"]).await);
    assert!(text.contains("# environment\nMAX_CONCURRENCY=3\n"), "the environment wins: {text}");

    let node = NodeProcess::start(&node_binary(), &["run", "--config", &shown], &BTreeMap::new());
    let task = scene.submit_noop(Duration::from_millis(10));
    assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed);
    assert!(!node.log().contains(&scene.variables["REG_SECRET"]), "no secret in {}", node.log());
}

#[tokio::test]
async fn what_config_check_writes_as_a_settings_file_is_read_as_the_same_settings() {
    let scene = Scene::new().await.set("MEMORY_BUDGET", "1GiB").set("NO_PROXY", "a.example,10.0.0.0/8");
    let written = run(scene.variables.clone(), scene.work(), &["config", "check", "--toml"]).await;
    assert!(written.status.success(), "{}", printed(&written));
    let path = scene.work().join("written.toml");
    fs::write(&path, &written.stdout).expect("written");
    // Secrets are comments in it.
    let secrets =
        ["REG_SECRET", "SECP256K1_PRIVHEX"].map(|name| (name.to_owned(), scene.variables[name].clone()));
    let shown = path.display().to_string();
    let again = run(secrets.into(), scene.work(), &["config", "check", "--toml", "--config", &shown]).await;
    assert!(again.status.success(), "{}", printed(&again));
    let settings = |output: &Output| -> Vec<String> {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines: Vec<_> =
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(settings(&written), settings(&again));
    assert!(settings(&written).contains(&"no_proxy = [\"a.example\", \"10.0.0.0/8\"]".to_owned()));
    assert!(settings(&written).contains(&"enable_noop = true".to_owned()));
}

#[tokio::test]
async fn a_settings_file_with_mistakes_is_refused_with_all_of_them_and_their_lines() {
    let scene = Scene::new().await;
    let lines = scene.variables.len();
    let path = in_a_file(&scene, "max_concurency = 4\nmax_concurrency = \"4\"\nrequest_timeout_secs = 0\n");
    let output = run(BTreeMap::new(), scene.work(), &["config", "check"]).await;
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for (line, said) in [
        (lines + 1, "max_concurency: there is no such setting; is max_concurrency meant?"),
        (lines + 2, "max_concurrency: it is a text, and takes a whole number"),
        (lines + 3, "REQUEST_TIMEOUT_SECS=0: out of range"),
    ] {
        assert!(text.contains(&format!("posemesh-node.toml line {line}: {said}")), "{said}\n{text}");
    }
    fs::write(&path, "reg_secret = hunter2\n").expect("written");
    let output = run(BTreeMap::new(), scene.work(), &["config", "check"]).await;
    let text = printed(&output);
    assert!(text.contains("posemesh-node.toml: line 1: ") && !text.contains("hunter2"), "{text}");
    let missing =
        run(BTreeMap::new(), scene.work(), &["config", "check", "--config", "/nowhere/x.toml"]).await;
    assert!(printed(&missing).contains("read the settings file /nowhere/x.toml: "), "{}", printed(&missing));
}

/// A node that runs by a settings file, with the address of its status server.
async fn running(scene: &Scene, more: &str) -> (NodeProcess, PathBuf, String) {
    let path = in_a_file(scene, more);
    let shown = path.display().to_string();
    let node = NodeProcess::start(&node_binary(), &["run", "--config", &shown], &BTreeMap::new());
    let addr = node.status_addr().await;
    (node, path, addr)
}

async fn json_of(addr: &str, path: &str) -> Value {
    let response = http_client().get(format!("http://{addr}{path}")).send().await.expect("an answer");
    serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON")
}

/// Asks until `/api/status` is as wanted.
async fn until(addr: &str, node: &NodeProcess, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let status = json_of(addr, "/api/status").await;
        if is_so(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "{what} never was: {status}\n{}", node.log());
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_hang_up_makes_the_node_read_its_settings_again() {
    // By default a node has one lease at a time.
    let config = DevnetConfig { leases_per_node: 2, ..DevnetConfig::default() };
    let scene = Scene::with(config).await.set("STATUS_ADDR", "127.0.0.1:0");
    let (node, path, addr) = running(&scene, "max_concurrency = 1\nmemory_budget = \"1GiB\"\n").await;
    let first = scene.submit_noop(Duration::from_secs(600));
    until(&addr, &node, "a running task", |status| status["capacity"]["running"] == 1).await;
    let second = scene.submit_noop(Duration::from_secs(600));
    let text = fs::read_to_string(&path).expect("the file");
    let changed = text
        .replace("max_concurrency = 1", "max_concurrency = 2")
        .replace("memory_budget = \"1GiB\"", "memory_budget = \"2GiB\"")
        .replace("rust_log = \"info\"", "rust_log = \"debug\"");
    fs::write(&path, format!("{changed}request_timeout_secs = 7\n")).expect("written");
    node.signal("HUP").await;
    // Both run only if the node has a second slot now.
    let status =
        until(&addr, &node, "a second running task", |status| status["capacity"]["running"] == 2).await;
    assert_eq!(status["capacity"]["slots"], 2);
    assert_eq!(status["capacity"]["memory_budget"], 2_u64 << 30);
    assert_eq!(status["log"]["filter"], "debug");
    let warnings = status["warnings"].to_string();
    assert!(warnings.contains("with the next start of the node: REQUEST_TIMEOUT_SECS"), "{warnings}");
    assert_ne!(first, second);

    // Broken: nothing changes, and it is said until it is mended.
    fs::write(&path, format!("{changed}max_concurrency_ = 8\n")).expect("written");
    node.signal("HUP").await;
    let broken = |status: &Value| status["warnings"].to_string().contains("those from before hold");
    let status = until(&addr, &node, "a warning", broken).await;
    assert!(
        status["warnings"].to_string().contains("max_concurrency_: there is no such setting"),
        "{status}"
    );
    assert_eq!(status["capacity"]["slots"], 2);
    node.wait_for_log("settings were read again and are wrong; nothing has changed").await;
    fs::write(&path, text).expect("written");
    node.signal("HUP").await;
    // What is in force is shown a moment before what is said of it.
    let mended = |status: &Value| {
        status["capacity"]["slots"] == 1 && !status["warnings"].to_string().contains("settings")
    };
    let status = until(&addr, &node, "the old settings", mended).await;
    assert_eq!(status["capacity"]["running"], 2, "what runs goes on");
}

#[tokio::test]
async fn reload_says_what_has_changed_and_what_needs_a_restart() {
    let audit = tempfile::tempdir().expect("a folder");
    let log = audit.path().join("audit.jsonl");
    let scene = Scene::new()
        .await
        .set("STATUS_ADDR", "127.0.0.1:0")
        .set("ADMIN_TOKEN", ADMIN_TOKEN)
        .set("AUDIT_LOG", log.display());
    let (_node, path, _) = running(&scene, "max_concurrency = 1\n").await;
    let shown = path.display().to_string();
    let reload = async || {
        let output = run(BTreeMap::new(), scene.work(), &["reload", "--config", &shown]).await;
        (output.status.success(), printed(&output))
    };
    assert_eq!(reload().await, (true, "no setting has changed; runners were looked for\n".to_owned()));
    let text = fs::read_to_string(&path).expect("the file");
    let secret = &scene.variables["REG_SECRET"];
    let changed = text.replace("max_concurrency = 1", "max_concurrency = 4").replace(secret, "hunter2");
    fs::write(&path, changed).expect("written");
    let (done, said) = reload().await;
    assert!(done && said.contains("MAX_CONCURRENCY: 4 now; before: 1\n"), "{said}");
    assert!(
        said.contains("REG_SECRET: has changed, and takes effect with the next start of the node\n"),
        "{said}"
    );
    fs::write(&path, "max_concurrency = 0").expect("written");
    // The command reads the broken file, too, which is well-formed.
    let socket = fs::read_dir(scene.work().join("work")).expect("WORK_DIR").flatten();
    let socket =
        socket.map(|one| one.path().join("control.sock")).find(|path| path.exists()).expect("a socket");
    let socket = socket.display().to_string();
    let output = run(BTreeMap::new(), scene.work(), &["reload", "--socket", &socket]).await;
    let said = printed(&output);
    assert!(!output.status.success() && said.contains("MAX_CONCURRENCY=0: out of range"), "{said}");
    let audit = fs::read_to_string(log).expect("the audit log");
    for part in ["\"settings_reloaded\"", "\"settings_refused\"", "\"needs_restart\":[\"REG_SECRET\"]"] {
        assert!(audit.contains(part), "{part}: {audit}");
    }
    assert!(!audit.contains("hunter2") && !audit.contains(secret.as_str()), "{audit}");
}
