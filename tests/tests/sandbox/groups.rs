//! Control groups: a node whose own was delegated to it gives each sandbox process one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use posemesh_devnet::TaskStatus;
use posemesh_tests::{NodeProcess, Scene, node_binary};
use rustix::fs::{XattrFlags, setxattr};

use crate::beside_others;
use crate::secrets::children;

/// A group that was delegated; it goes with this.
struct Delegated(PathBuf);

impl Delegated {
    /// None where this process may make no groups.
    fn new() -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
        let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?;
        let group = Path::new(line.split(' ').nth(1)?).join(format!("posemesh-test-{}", std::process::id()));
        std::fs::create_dir(&group).ok()?;
        let group = Self(group);
        setxattr(&group.0, "user.delegate", b"1", XattrFlags::empty()).ok()?;
        Some(group)
    }

    /// The groups below it.
    fn below(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("the group").flatten();
        let folders = entries.filter(|entry| entry.path().is_dir());
        folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// Whether no process is in a group below it.
    fn is_empty(&self) -> bool {
        let processes = |name: &String| std::fs::read_to_string(self.0.join(name).join("cgroup.procs"));
        self.below().iter().all(|name| processes(name).is_ok_and(|processes| processes.is_empty()))
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        for name in self.below() {
            let _ = std::fs::remove_dir(self.0.join(name));
        }
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// The group of a process, in the second version's hierarchy.
fn group_of(process: u32) -> String {
    let groups = std::fs::read_to_string(format!("/proc/{process}/cgroup")).expect("it runs");
    let own = groups.lines().find_map(|line| line.strip_prefix("0::")).expect("there is that hierarchy");
    own.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegated_control_group_is_divided_among_the_processes() {
    let _shared = beside_others().await;
    let Some(delegated) = Delegated::new() else {
        eprintln!("not run: no control group can be made here");
        return;
    };
    let scene = Scene::new().await;
    let enter =
        format!("echo 0 > {}/cgroup.procs && exec {} run", delegated.0.display(), node_binary().display());
    let mut node = NodeProcess::start(Path::new("/bin/sh"), &["-c", &enter], &scene.variables);
    let task = scene.submit_noop(Duration::from_millis(10));
    scene.wait_for_end(task, &node).await;
    assert_eq!(scene.task(task).status, TaskStatus::Completed, "{}", node.log());
    assert!(node.log().contains("control groups of their own"), "{}", node.log());
    let id = node.id();
    let own = group_of(id);
    let below = own.strip_suffix("/node").unwrap_or_else(|| panic!("the node is in {own}"));
    let processes = children(id);
    assert!(!processes.is_empty(), "one is kept warm");
    for process in processes {
        let group = group_of(process);
        assert!(group.starts_with(&format!("{below}/sandbox-{id}-")), "{group}, not below {below}");
        let limit = delegated.0.join(group.rsplit('/').next().expect("a name")).join("memory.max");
        if let Ok(limit) = std::fs::read_to_string(limit) {
            assert!(limit.trim().parse::<u64>().is_ok_and(|limit| limit > 192 << 20), "{limit}");
        }
    }
    assert_eq!(node.terminate().await, 0, "{}", node.log());
    // The processes may outlive their node by a moment, and their groups with them: the next start takes those away.
    while !delegated.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let left = format!("sandbox-{id}-");
    let mut next = NodeProcess::start(Path::new("/bin/sh"), &["-c", &enter], &scene.variables);
    next.wait_for_log("control groups of their own").await;
    assert!(delegated.below().iter().all(|name| !name.starts_with(&left)), "{:?}", delegated.below());
    assert_eq!(next.terminate().await, 0, "{}", next.log());
}
