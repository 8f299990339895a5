//! Signals that reach a node and all of its processes: a terminal and a supervisor send them so.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use posemesh_devnet::TaskStatus;
use posemesh_tests::{Scene, TIMEOUT, node_binary};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::beside_others;
use crate::secrets::children;

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_to_the_whole_group_leaves_its_tasks_to_the_node() {
    let _shared = beside_others().await;
    let scene = Scene::new().await;
    for signal in [Signal::TERM, Signal::INT] {
        let mut command = Command::new(node_binary());
        command.arg("run").env_clear().envs(&scene.variables).process_group(0);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut node = command.spawn().expect("started");
        let pid = Pid::from_raw(i32::try_from(node.id()).expect("a pid")).expect("a pid");
        let task = scene.submit_noop(Duration::from_secs(4));
        until(|| scene.task(task).status != TaskStatus::Queued).await;
        until(|| !children(node.id()).is_empty()).await;
        // Those that have left the group hear it as well: a supervisor sends it to every process.
        for child in children(node.id()) {
            let child = Pid::from_raw(i32::try_from(child).expect("a pid")).expect("a pid");
            kill_process(child, signal).expect("it is there");
        }
        kill_process_group(pid, signal).expect("it is there");
        let ended = node.wait().expect("a status");
        assert_eq!(ended.code(), Some(0), "{signal:?}");
        let task = scene.task(task);
        assert_eq!((task.status, task.leases.len()), (TaskStatus::Completed, 1), "{signal:?}: {task:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_meets_a_dying_process_gets_another() {
    let _shared = beside_others().await;
    let scene = Scene::new().await;
    let node = scene.node();
    let first = scene.submit_noop(Duration::from_millis(10));
    scene.wait_for_end(first, &node).await;
    let kept = children(node.id());
    let each = |signal| {
        for child in &kept {
            let child = Pid::from_raw(i32::try_from(*child).expect("a pid")).expect("a pid");
            kill_process(child, signal).expect("it is kept warm");
        }
    };
    // It takes nothing more, and dies with the order unread.
    each(Signal::STOP);
    let task = scene.submit_noop(Duration::from_millis(10));
    // The order is sent behind the second such line. Nothing tells when it is there; if that takes longer, the process is dead
    // when it is to be sent, which ends no task either.
    until(|| node.log().lines().filter(|line| line.contains("running runner=")).count() == 2).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    each(Signal::KILL);
    scene.wait_for_end(task, &node).await;
    let task = scene.task(task);
    assert_eq!((task.status, task.leases.len()), (TaskStatus::Completed, 1), "{task:?}: {}", node.log());
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + 2 * TIMEOUT;
    while !is_so() {
        assert!(tokio::time::Instant::now() < deadline, "it never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
