//! The user, or the container, may start few threads.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use posemesh_devnet::TaskStatus;
use posemesh_tests::{NodeProcess, Scene, TIMEOUT, http_client, node_binary};
use rustix::process::geteuid;

/// Users without privileges that nobody else is; a test each, since the limit counts all processes of a user.
const FIRST_USER: u32 = 61_200;

/// Starts a node whose user may have so many threads. The kernel does not hold root to that, so as root the node is
/// another user; otherwise what this user runs already comes on top.
fn node_with(scene: &Scene, user: u32, threads: usize) -> NodeProcess {
    let binary = node_binary();
    let script = if geteuid().is_root() {
        // What the node has to reach must be open to that user.
        for dir in [scene.work(), &scene.plugins()] {
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o777)).expect("opened");
        }
        let user = FIRST_USER + user;
        let as_user = format!("setpriv --reuid {user} --regid {user} --clear-groups --inh-caps=-all");
        let copy = scene.work().join("posemesh-node");
        if !copy.exists() {
            std::fs::copy(&binary, &copy).expect("a copy that the user can reach");
        }
        format!("exec prlimit --nproc={threads} {as_user} {} run", copy.display())
    } else {
        let running = running_threads();
        format!("exec prlimit --nproc={} {} run", running + threads, binary.display())
    };
    let mut variables = scene.variables.clone();
    variables.insert("PATH".to_owned(), std::env::var("PATH").expect("PATH"));
    NodeProcess::start(Path::new("/bin/sh"), &["-c", &script], &variables)
}

/// How many threads the processes of this user have.
fn running_threads() -> usize {
    let of = |status: &str, name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned();
        line.split_whitespace().next()?.parse::<usize>().ok()
    };
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let statuses = processes.filter_map(|it| std::fs::read_to_string(it.path().join("status")).ok());
    let own = usize::try_from(geteuid().as_raw()).expect("a number");
    statuses.filter(|it| of(it, "Uid:") == Some(own)).filter_map(|it| of(&it, "Threads:")).sum()
}

#[tokio::test]
async fn a_node_with_too_few_threads_ends_with_what_is_missing() {
    let scene = Scene::new().await;
    for threads in 1..=9 {
        let mut node = node_with(&scene, 0, threads);
        let code = tokio::time::timeout(TIMEOUT, node.wait()).await.expect("it neither hangs nor starts");
        assert_eq!(code, 1, "with {threads} threads: {}", node.log());
        // The last lines may still be on their way.
        node.wait_for_log("error: ").await;
        let log = node.log();
        for part in ["error: this process can start", "a node needs", "ulimit -u", "pids.max"] {
            assert!(log.contains(part), "with {threads} threads, {part:?} is not in: {log}");
        }
        assert!(!log.contains("panicked"), "with {threads} threads: {log}");
    }
}

#[tokio::test]
async fn with_any_number_of_threads_a_node_works_or_says_why_not() {
    let scene = Scene::new().await.set("STATUS_ADDR", "127.0.0.1:0");
    for threads in [10, 11, 12, 13, 14, 16, 20, 40] {
        let mut node = node_with(&scene, 1, threads);
        let addr = node.status_addr().await;
        let task = scene.submit_noop(Duration::ZERO);
        // Either the task is done, or the node says that threads are missing and takes none.
        let said = async {
            loop {
                if node.log().contains("Resource temporarily unavailable") {
                    return false;
                }
                let ready = http_client().get(format!("http://{addr}/ready")).send().await;
                let missing = match ready {
                    Ok(answer) => answer.text().await.unwrap_or_default(),
                    Err(_) => String::new(),
                };
                if missing.contains("more threads can be started") {
                    return false;
                }
                if scene.task(task).status == TaskStatus::Completed {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let done = tokio::time::timeout(TIMEOUT, said).await;
        let done = done.unwrap_or_else(|_| panic!("with {threads} threads: {}", node.log()));
        assert!(scene.task(task).failures.is_empty(), "with {threads} threads: {}", node.log());
        assert!(!node.log().contains("panicked"), "with {threads} threads: {}", node.log());
        if threads == 40 {
            assert!(done, "so many are enough: {}", node.log());
        }
        // A task that was not taken is there for the next node.
        assert_eq!(node.terminate().await, 0, "with {threads} threads: {}", node.log());
    }
}

#[tokio::test]
async fn threads_that_others_take_pause_leasing_until_they_give_them_back() {
    let scene = Scene::new().await.set("STATUS_ADDR", "127.0.0.1:0");
    let mut node = node_with(&scene, 2, 60);
    let addr = node.status_addr().await;
    scene.wait_for_work_wanted(&node).await;
    let others: Vec<_> = (0..60)
        .map(|_| {
            let user = (FIRST_USER + 2).to_string();
            let as_user = ["--reuid", &user, "--regid", &user, "--clear-groups", "sleep", "300"];
            let mut command = match geteuid().is_root() {
                true => tokio::process::Command::new("setpriv"),
                false => tokio::process::Command::new("sleep"),
            };
            command.args(if geteuid().is_root() { &as_user[..] } else { &as_user[6..] });
            command.kill_on_drop(true).spawn().expect("another process of the user")
        })
        .collect();
    node.wait_for_log("more threads can be started, and a task needs").await;
    let ready = http_client().get(format!("http://{addr}/ready")).send().await.expect("an answer");
    let missing = ready.text().await.expect("a body");
    assert!(missing.contains("ulimit -u"), "{missing}: {}", node.log());
    let task = scene.submit_noop(Duration::ZERO);
    // Longer than the node waits between two looks.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(scene.task(task).leases.len(), 0, "{}", node.log());
    drop(others);
    let ended = scene.wait_for_end(task, &node).await;
    assert_eq!((ended.status, ended.leases.len()), (TaskStatus::Completed, 1), "{}", node.log());
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}
