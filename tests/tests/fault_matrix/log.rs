//! The log goes to a pipe, a disk or a terminal that fails.

use std::fs::OpenOptions;
use std::process::Stdio;
use std::time::Duration;

use posemesh_devnet::TaskStatus;
use posemesh_tests::{NodeProcess, Scene, TIMEOUT, http_client, node_binary};
use rustix::pty::OpenptFlags;

/// Runs tasks and stops the node, all of which must go as if the log were well.
async fn assert_works_and_stops(scene: &Scene, mut node: NodeProcess) {
    for _ in 0..3 {
        let task = scene.submit_noop(Duration::from_millis(50));
        let ended = scene.wait_for_end(task, &node).await;
        assert_eq!((ended.status, ended.leases.len()), (TaskStatus::Completed, 1), "{ended:?}");
    }
    let running = scene.submit_noop(Duration::from_secs(2));
    scene.wait_for_running(running, &node).await;
    assert_eq!(node.terminate().await, 0, "SIGTERM is heard, and the node ends well");
    assert_eq!(scene.task(running).status, TaskStatus::Completed, "what was running has ended");
}

#[tokio::test]
async fn the_reader_of_the_pipe_goes_away() {
    let scene = Scene::new().await.set("RUST_LOG", "debug");
    let mut node = NodeProcess::with_log_to(Stdio::piped(), &node_binary(), &["run"], &scene.variables);
    scene.wait_for_work_wanted(&node).await;
    node.close_log();
    assert_works_and_stops(&scene, node).await;
}

#[tokio::test]
async fn nobody_reads_the_pipe_and_what_is_lost_is_told() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("one").port();
    let scene = Scene::new().await.set("RUST_LOG", "trace").set("STATUS_ADDR", format!("127.0.0.1:{port}"));
    let mut node = NodeProcess::with_log_to(Stdio::piped(), &node_binary(), &["run"], &scene.variables);
    let dropped = async || {
        let metrics = http_client().get(format!("http://127.0.0.1:{port}/metrics")).send().await.ok()?;
        let text = metrics.text().await.ok()?;
        let line = text.lines().find(|line| line.starts_with("posemesh_node_log_lines_dropped_total "))?;
        line.rsplit(' ').next()?.parse::<f64>().ok()
    };
    let deadline = tokio::time::Instant::now() + 2 * TIMEOUT;
    while !dropped().await.is_some_and(|lines| lines > 0.0) {
        assert!(tokio::time::Instant::now() < deadline, "the pipe never filled");
        let task = scene.submit_noop(Duration::ZERO);
        assert_eq!(scene.wait_for_end(task, &node).await.status, TaskStatus::Completed);
    }
    node.read_log();
    node.wait_for_log("the log flows again").await;
    scene.assert_goes_on(node).await;
}

#[tokio::test]
async fn nobody_reads_the_pipe_to_the_end() {
    let scene = Scene::new().await.set("RUST_LOG", "trace");
    let node = NodeProcess::with_log_to(Stdio::piped(), &node_binary(), &["run"], &scene.variables);
    assert_works_and_stops(&scene, node).await;
}

#[tokio::test]
async fn the_disk_of_the_log_is_full() {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let scene = Scene::new().await;
    let node = NodeProcess::with_log_to(full.into(), &node_binary(), &["run"], &scene.variables);
    scene.wait_for_work_wanted(&node).await;
    assert_works_and_stops(&scene, node).await;
}

/// A script that starts the node as systemd would whose journal reads from what is standard error now.
const FOR_THE_JOURNAL: &str =
    "export JOURNAL_STREAM=$(stat --dereference --format=%d:%i /proc/self/fd/2); exec";

#[tokio::test]
async fn the_journal_and_nobody_else_is_told_how_important_a_line_is() {
    let scene = Scene::new().await.set("ENABLE_NOOP", false).set("LOG_FORMAT", "json");
    let node = node_binary().display().to_string();
    for (script, redirect, told) in [
        (FOR_THE_JOURNAL, "", true),
        // The journal reads from another file than the one the node writes to.
        (FOR_THE_JOURNAL, "2>&1", false),
        ("exec", "", false),
    ] {
        let script = format!("{script} {node} run {redirect}");
        let mut node =
            NodeProcess::start(std::path::Path::new("/bin/sh"), &["-c", &script], &scene.variables);
        node.wait_for_log("the worker takes leases").await;
        assert_eq!(node.terminate().await, 0, "{}", node.log());
        let (mut infos, mut warnings) = (0, 0);
        for line in node.log().lines() {
            let (priority, line) = match line.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
                Some((priority, line)) => (Some(priority), line),
                None => (None, line),
            };
            let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
            let expected = match line["level"].as_str().expect("a level") {
                "WARN" => "4",
                "INFO" => "6",
                other => panic!("{other}: {line}"),
            };
            assert_eq!(priority, told.then_some(expected), "{line}");
            *if expected == "4" { &mut warnings } else { &mut infos } += 1;
        }
        assert!(infos > 3 && warnings > 0, "{infos}, {warnings}: {}", node.log());
    }
    let wrong = scene.set("DMS_BASE_URL", "nonsense");
    let script = format!("{FOR_THE_JOURNAL} {node} run");
    let mut node = NodeProcess::start(std::path::Path::new("/bin/sh"), &["-c", &script], &wrong.variables);
    assert_ne!(node.wait().await, 0);
    assert!(node.log().starts_with("<3>{"), "{}", node.log());
}

#[tokio::test]
async fn the_terminal_is_gone() {
    let scene = Scene::new().await;
    // Closed in the processes that are started: one that holds the terminal's other end keeps it alive.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = rustix::pty::openpt(flags).expect("a terminal");
    rustix::pty::grantpt(&terminal).expect("granted");
    rustix::pty::unlockpt(&terminal).expect("unlocked");
    let name = rustix::pty::ptsname(&terminal, Vec::new()).expect("a name").into_string().expect("text");
    let script = format!("exec setsid --ctty --wait {} run <{name} 2>{name}", node_binary().display());
    let mut variables = scene.variables.clone();
    variables.insert("PATH".to_owned(), std::env::var("PATH").expect("PATH"));
    let mut node = NodeProcess::start(std::path::Path::new("sh"), &["-c", &script], &variables);
    let running = scene.submit_noop(Duration::from_secs(3));
    scene.wait_for_running(running, &node).await;
    drop(terminal);
    assert_eq!(node.wait().await, 0, "it drains and ends well");
    assert_eq!(scene.task(running).status, TaskStatus::Completed, "what was running has ended");
}
