//! What is told of tasks and runners over restarts, and when the history can't be written.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use posemesh_devnet::{DevnetConfig, TaskStatus};
use posemesh_tests::{NodeProcess, Scene, leases_of};

use crate::fixture::{assert_whole, command, database, get, json, printed, scene, tasks_once, with};

#[tokio::test]
async fn tasks_and_runners_are_told_of_over_restarts_while_a_node_runs_and_without_one() {
    let scene = scene().await;
    let none = command(&scene, &["tasks"]).await;
    assert!(!none.status.success() && printed(&none).contains("there is none"), "{}", printed(&none));
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut node = scene.node();
        let task = scene.submit_noop(Duration::from_millis(10));
        assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed);
        ids.push(task.to_string());
        // Of a running node.
        tasks_once(&scene, "told of the task", |told| told.len() == ids.len()).await;
        assert_eq!(node.terminate().await, 0);
    }
    // Without it.
    let told = json(&scene, &["tasks"], "tasks").await;
    let in_order: Vec<_> = told.iter().map(|task| task["task"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(in_order, ids, "the newest is the last");
    for task in &told {
        assert_eq!(task["outcome"], "completed", "{task}");
        assert_eq!(task["capability"], "/posemesh/noop/v1", "{task}");
        assert!(task["runner"].as_str().expect("a runner").starts_with("noop "), "{task}");
        assert_eq!(task["sha256"].as_str().expect("a digest").len(), 64, "{task}");
        assert!(task["memory_bytes"].as_i64().expect("measured") > 0, "{task}");
        assert!(task["node"].as_str().expect("a node").starts_with("0x"), "{task}");
    }
    let failed = printed(&command(&scene, &["tasks", "--failed"]).await);
    assert_eq!(failed, "no such tasks\n");
    let text = printed(&command(&scene, &["tasks", "--since", "1h", "--limit", "1"]).await);
    assert!(text.lines().count() == 1 && text.contains(&ids[1]) && text.contains("  completed  "), "{text}");
    let text = printed(&command(&scene, &["plugin", "history", "noop"]).await);
    assert_eq!(text.matches("  live  sha256 ").count(), 2, "live at each start: {text}");
    assert_eq!(text.matches("  node_started\n").count(), 2, "{text}");
    assert_eq!(text.matches("  node_ended\n").count(), 2, "{text}");
    assert!(text.contains("a file that is new has passed"), "why it came: {text}");
    let wrong = command(&scene, &["tasks", "--since", "yesterday"]).await;
    assert_eq!(wrong.status.code(), Some(2), "{}", printed(&wrong));
    // Nothing in it is for others, and nothing secret is in it.
    for (path, mode) in [(PathBuf::from(&scene.variables["DATA_DIR"]), 0o700), (database(&scene), 0o600)] {
        assert_eq!(path.metadata().expect("it is there").permissions().mode() & 0o777, mode, "{path:?}");
    }
    let bytes = std::fs::read(database(&scene)).expect("it can be read");
    let text = String::from_utf8_lossy(&bytes);
    for secret in ["REG_SECRET", "SECP256K1_PRIVHEX"] {
        assert!(!text.contains(&scene.variables[secret]), "{secret} is in it");
    }
    assert!(!text.contains("eyJ"), "a token is in it");
}

#[tokio::test]
async fn a_node_that_is_killed_in_the_middle_of_writing_leaves_a_whole_history() {
    // A lease of which no process has heard, since it was killed in that moment, has to expire.
    let config = DevnetConfig { leases_per_node: 4, ..leases_of(Duration::from_secs(4)) };
    let scene = with(config).await.set("MAX_CONCURRENCY", 4);
    for round in 0..4_u64 {
        let mut node = scene.node();
        let tasks: Vec<_> = (0..40).map(|_| scene.submit_noop(Duration::from_millis(1))).collect();
        // Another moment each time, with more to come.
        let at = tasks[usize::try_from(3 + 9 * round).expect("small")];
        scene.wait_for_end(at, &node).await;
        node.kill().await;
        assert_whole(&scene);
    }
    let mut node = scene.node();
    let task = scene.submit_noop(Duration::from_millis(1));
    assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed);
    assert_eq!(node.terminate().await, 0);
    assert_whole(&scene);
    let killed = printed(&command(&scene, &["plugin", "history"]).await).matches("  node_killed\n").count();
    assert_eq!(killed, 4, "each is told");
    let told = json(&scene, &["tasks"], "tasks").await;
    assert!(told.iter().all(|task| task["outcome"] != "running"), "nothing is left open: {told:#?}");
}

#[tokio::test]
async fn a_history_that_can_not_be_written_costs_no_task_and_is_told_everywhere() {
    let scene = Scene::new().await;
    let file = scene.work().join("file");
    std::fs::write(&file, "").expect("written");
    // Below a file nothing can be made, as on a disk that is full.
    let scene = scene.set("DATA_DIR", file.join("data").display()).set("STATUS_ADDR", "127.0.0.1:0");
    let node = scene.node();
    let task = scene.submit_noop(Duration::from_millis(10));
    assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed);
    node.wait_for_log("the history can't be written; the node goes on").await;
    let metrics = get(&node, "metrics").await;
    assert!(metrics.contains("posemesh_node_history_failing 1\n"), "{metrics}");
    assert!(metrics.contains("posemesh_node_history_entries_lost_total 0\n"), "they wait: {metrics}");
    let status = get(&node, "api/status").await;
    assert!(status.contains("the node goes on without it"), "among the warnings: {status}");
    let check = command(&scene, &["config", "check"]).await;
    assert!(printed(&check).contains("error: DATA_DIR="), "{}", printed(&check));
    assert!(!command(&scene, &["tasks"]).await.status.success());
    // Mended: the next try writes what has waited.
    std::fs::remove_file(&file).expect("removed");
    node.wait_for_log("the history is written again").await;
    let told = tasks_once(&scene, "told of the task", |told| told.len() == 1).await;
    assert_eq!((&told[0]["task"], &told[0]["outcome"]), (&task.to_string().into(), &"completed".into()));
}

#[tokio::test]
async fn a_file_that_is_no_history_is_moved_aside_and_one_of_a_newer_version_is_left_alone() {
    let scene = scene().await;
    let folder = PathBuf::from(&scene.variables["DATA_DIR"]);
    std::fs::create_dir(&folder).expect("made");
    std::fs::write(database(&scene), "no database ".repeat(1000)).expect("written");
    let mut node = scene.node();
    node.wait_for_log("it was moved to").await;
    assert!(get(&node, "api/status").await.contains("it was moved to"));
    let task = scene.submit_noop(Duration::from_millis(1));
    assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed);
    tasks_once(&scene, "told of the task", |told| told.len() == 1).await;
    assert_eq!(node.terminate().await, 0);
    let is_kept = |name: &str| name.starts_with("history.sqlite.unreadable-");
    let names =
        std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    assert_eq!(names.filter(|name| is_kept(&name.to_string_lossy())).count(), 1);

    let newer = rusqlite::Connection::open(database(&scene)).expect("a database");
    newer.pragma_update(None, "user_version", 99).expect("changed");
    drop(newer);
    let before = std::fs::read(database(&scene)).expect("read");
    let mut node = scene.node();
    node.wait_for_log("a newer version of the node has written it").await;
    let task = scene.submit_noop(Duration::from_millis(1));
    assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed);
    assert_eq!(node.terminate().await, 0);
    assert!(std::fs::read(database(&scene)).expect("read") == before, "nothing of it has changed");
}

#[tokio::test]
async fn two_nodes_with_one_data_dir_say_so_and_lose_nothing() {
    let scene = scene().await;
    let mut first = scene.node();
    scene.wait_for_work_wanted(&first).await;
    let other = scene.devnet.add_node();
    let mut variables = scene.variables.clone();
    variables.insert("REG_SECRET".to_owned(), other.registration_secret.clone());
    variables.insert("SECP256K1_PRIVHEX".to_owned(), "1".repeat(64));
    let mut second = NodeProcess::run(&variables);
    second.wait_for_log("other nodes write to this history as well").await;
    let tasks: Vec<_> = (0..30).map(|_| scene.submit_noop(Duration::from_millis(20))).collect();
    for task in &tasks {
        assert_eq!(scene.wait_for_end(*task, &first).await.status, TaskStatus::Completed);
    }
    assert_eq!((first.terminate().await, second.terminate().await), (0, 0));
    let told = json(&scene, &["tasks"], "tasks").await;
    let mut ids: Vec<_> = told.iter().map(|task| task["task"].as_str().expect("an id").to_owned()).collect();
    let mut wanted: Vec<_> = tasks.iter().map(ToString::to_string).collect();
    ids.sort();
    wanted.sort();
    assert_eq!(ids, wanted, "each once");
    // Whose a task was is told, and asked for.
    let nodes: std::collections::BTreeSet<&str> =
        told.iter().map(|task| task["node"].as_str().expect("a node")).collect();
    assert_eq!(nodes.len(), 2, "{nodes:?}");
    let mut of_each = 0;
    for node in nodes {
        let short = &node[..10];
        let of_node = json(&scene, &["tasks", "--node", &short.to_lowercase()], "tasks").await;
        assert!(of_node.iter().all(|task| task["node"] == node), "{of_node:?}");
        of_each += of_node.len();
        let text = printed(&command(&scene, &["tasks", "--node", node]).await);
        assert!(text.lines().all(|line| line.contains(&format!("  {short}  completed  "))), "{text}");
        let text = printed(&command(&scene, &["plugin", "history", "--node", node]).await);
        assert!(text.contains("  the node  node_started"), "{text}");
        assert!(text.lines().all(|line| line.contains(short) || line.starts_with("    ")), "{text}");
    }
    assert_eq!(of_each, told.len());
    let none = printed(&command(&scene, &["tasks", "--node", "0x0000000"]).await);
    assert_eq!(none, "no such tasks\n");
}
