//! Signals that arrive before the node has begun to listen.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use posemesh_devnet::TaskStatus;
use posemesh_tests::{NodeProcess, Scene, node_binary};
use rustix::process::{Pid, Signal, kill_process};

/// How many nodes each signal is sent to.
const TIMES: u32 = 50;
/// How long a node may take to hear of it, on a loaded machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Whether the process has a handler for a signal.
fn catches(pid: u32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (signal.as_raw() - 1) & 1 == 1
}

/// Starts a node and sends it a signal in the moment in which it can first be heard. Returns the process.
fn signalled(scene: &Scene, signal: Signal) -> std::process::Child {
    let mut command = Command::new(node_binary());
    command.arg("run").env_clear().envs(&scene.variables).process_group(0);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.expect("started");
    let began = Instant::now();
    while !catches(child.id(), signal) {
        assert!(began.elapsed() < LIMIT, "it never begins to listen");
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    kill_process(pid, signal).expect("sent");
    child
}

/// Waits for the end of a process; its exit code, none after a signal.
fn end(mut child: std::process::Child) -> Option<i32> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a status") {
            return status.code();
        }
        if began.elapsed() > LIMIT {
            let _ = child.kill();
            panic!("it goes on");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_of_the_first_milliseconds_is_heard() {
    let scene = Scene::new().await;
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT"), (Signal::USR1, "SIGUSR1")] {
        for n in 0..TIMES {
            // It has no task, so a drain is an end too.
            assert_eq!(end(signalled(&scene, signal)), Some(0), "{name}, node {n}");
        }
    }
    for (signal, name) in [(Signal::HUP, "SIGHUP"), (Signal::USR2, "SIGUSR2")] {
        for n in 0..TIMES / 2 {
            let child = signalled(&scene, signal);
            // It lived through that, and hears the next.
            std::thread::sleep(Duration::from_millis(5));
            let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
            kill_process(pid, Signal::TERM).expect("it is there");
            assert_eq!(end(child), Some(0), "{name}, node {n}");
        }
    }
}

#[tokio::test]
async fn a_node_that_is_started_with_hang_ups_ignored_outlives_its_terminal() {
    let scene = Scene::new().await;
    let flags =
        rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY | rustix::pty::OpenptFlags::CLOEXEC;
    let terminal = rustix::pty::openpt(flags).expect("a terminal");
    rustix::pty::grantpt(&terminal).expect("granted");
    rustix::pty::unlockpt(&terminal).expect("unlocked");
    let name = rustix::pty::ptsname(&terminal, Vec::new()).expect("a name").into_string().expect("text");
    // As `nohup` does: the terminal stays the controlling one, and SIGHUP is ignored.
    let binary = node_binary();
    let script =
        format!("exec setsid --ctty --wait sh -c 'trap \"\" HUP; exec {} run' <{name}", binary.display());
    let mut variables = scene.variables.clone();
    variables.insert("PATH".to_owned(), std::env::var("PATH").expect("PATH"));
    let mut node = NodeProcess::start(std::path::Path::new("sh"), &["-c", &script], &variables);
    let first = scene.submit_noop(Duration::ZERO);
    assert_eq!(scene.wait_for_end(first, &node).await.status, TaskStatus::Completed, "{}", node.log());
    drop(terminal);
    // Longer than the interval of the looks at the terminal.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let second = scene.submit_noop(Duration::ZERO);
    assert_eq!(scene.wait_for_end(second, &node).await.status, TaskStatus::Completed, "{}", node.log());
    assert!(!node.log().contains("draining"), "{}", node.log());
    // The process that was started waits for the node, which is its only child.
    let children =
        std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", node.id())).expect("children");
    let pid = children.split_whitespace().next().map_or(node.id(), |pid| pid.parse().expect("a pid"));
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::TERM).expect("it is there");
    assert_eq!(node.wait().await, 0, "{}", node.log());
}
