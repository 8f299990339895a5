//! A scene whose node keeps a history, and the commands that read it.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use posemesh_devnet::DevnetConfig;
use posemesh_tests::{NodeProcess, Scene, TIMEOUT, node_binary};
use rusqlite::Connection;
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// A scene with a `DATA_DIR`.
pub(crate) async fn scene() -> Scene {
    with(DevnetConfig::default()).await
}

/// The same with this devnet.
pub(crate) async fn with(config: DevnetConfig) -> Scene {
    let scene = Scene::with(config).await;
    let data = scene.work().join("data");
    scene.set("DATA_DIR", data.display()).set("STATUS_ADDR", "127.0.0.1:0")
}

pub(crate) async fn command(scene: &Scene, arguments: &[&str]) -> Output {
    let mut command = Command::new(node_binary());
    command.args(arguments).env_clear().envs(&scene.variables).current_dir(scene.work());
    tokio::task::spawn_blocking(move || command.output()).await.expect("it ran").expect("an output")
}

pub(crate) fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What a command says in JSON under this name.
pub(crate) async fn json(scene: &Scene, arguments: &[&str], name: &str) -> Vec<Value> {
    let output = command(scene, &[arguments, &["--json", "--limit", "100000"]].concat()).await;
    let told: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", printed(&output)));
    told[name].as_array().unwrap_or_else(|| panic!("no {name} in {told}")).clone()
}

/// Asks until the history satisfies a condition.
pub(crate) async fn tasks_once(scene: &Scene, what: &str, is_so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let told = json(scene, &["tasks"], "tasks").await;
        if is_so(&told) {
            return told;
        }
        assert!(Instant::now() < deadline, "never {what}: {told:#?}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// The file that a node writes.
pub(crate) fn database(scene: &Scene) -> PathBuf {
    PathBuf::from(&scene.variables["DATA_DIR"]).join("history.sqlite")
}

/// Asserts that the database is whole, in SQLite's own words.
pub(crate) fn assert_whole(scene: &Scene) {
    let database = Connection::open(database(scene)).expect("it is a database");
    let said: String =
        database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it can be checked");
    assert_eq!(said, "ok");
    let folder = std::fs::read_dir(&scene.variables["DATA_DIR"]).expect("a folder");
    let names: Vec<_> = folder.map(|entry| entry.expect("an entry").file_name()).collect();
    let is_aside = |name: &std::ffi::OsString| name.to_string_lossy().contains("unreadable");
    assert!(!names.iter().any(is_aside), "it never was damaged: {names:?}");
}

/// What the node's server answers.
pub(crate) async fn get(node: &NodeProcess, path: &str) -> String {
    let addr = node.status_addr().await;
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let answer = posemesh_tests::http_client().get(format!("http://{addr}/{path}")).send().await;
        match answer {
            Ok(answer) => return answer.text().await.expect("a body"),
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}
