//! A control group for each sandbox process, where the node's own group was delegated to it (systemd's `Delegate=yes`).
//!
//! The limits that every process has (`process`) count what it writes to; a group counts what the kernel holds for it too:
//! memory files, its cache, threads. Where nothing was delegated there are none, and nobody else's groups are touched.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::getxattr;

/// What a service manager sets on a group that it leaves to a service, for all to see or for root alone.
const MARKS: [&str; 2] = ["user.delegate", "trusted.delegate"];
/// Controllers that are used, if they are there.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];
/// The node's own group below one that was delegated: a group with controllers may hold no process itself.
const NODE: &str = "node";
/// What the names of groups of sandbox processes begin with.
const PREFIX: &str = "sandbox-";
/// The most threads of a sandbox process: one for each call that goes on, and its own.
const MAX_THREADS: u64 = 4096;

/// The group below which sandbox processes get theirs.
#[derive(Debug)]
pub(super) struct Groups {
    base: PathBuf,
}

impl Groups {
    /// The group that was delegated to this process; none if none was. The process moves to a group of its own below it, if
    /// it is not in one.
    ///
    /// # Errors
    /// If there is one that can't be used, in words.
    pub(super) fn delegated() -> Result<Option<Self>, String> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let Some(own) = own_group(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup")) else {
            return Ok(None);
        };
        let base = match own.parent() {
            _ if is_delegated(&own) => own.clone(),
            Some(parent) if is_delegated(parent) => parent.to_owned(),
            _ => return Ok(None),
        };
        let groups = Self { base };
        groups.prepare(&own).map_err(|error| {
            format!("the control group {} was delegated to this node: {error}", groups.base.display())
        })?;
        Ok(Some(groups))
    }

    fn prepare(&self, own: &Path) -> io::Result<()> {
        if own == self.base {
            let node = self.base.join(NODE);
            make(&node)?;
            fs::write(node.join("cgroup.procs"), "0")?;
        }
        // What nodes that were killed have left. One that is in use can't be removed.
        for entry in fs::read_dir(&self.base)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                let _ = fs::remove_dir(entry.path());
            }
        }
        let there = fs::read_to_string(self.base.join("cgroup.controllers"))?;
        for controller in CONTROLLERS.iter().filter(|name| there.split_whitespace().any(|one| one == **name))
        {
            fs::write(self.base.join("cgroup.subtree_control"), format!("+{controller}"))?;
        }
        Ok(())
    }

    /// A new group for the process of this number.
    ///
    /// # Errors
    /// If it can't be made.
    pub(super) fn group(&self, number: u64) -> io::Result<Group> {
        let path = self.base.join(format!("{PREFIX}{}-{number}", std::process::id()));
        make(&path)?;
        let group = Group { path, memory: AtomicU64::new(0) };
        group.set("pids.max", MAX_THREADS)?;
        // All of it or nothing: it is one process.
        group.set("memory.oom.group", 1)?;
        Ok(group)
    }
}

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.display().fmt(f)
    }
}

/// The group of one sandbox process. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct Group {
    path: PathBuf,
    /// What the kernel was told last, in bytes.
    memory: AtomicU64,
}

impl Group {
    /// Takes a process in, with whatever it starts from now on.
    ///
    /// # Errors
    /// If that process is gone.
    pub(super) fn take(&self, process: u32) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), process.to_string())
    }

    /// Lets it have this much memory, in bytes. Never less than before: the kernel would look for what to take away, and whoever
    /// asks would wait for it.
    pub(super) fn allow_memory(&self, bytes: u64) {
        if self.memory.fetch_max(bytes, Ordering::Relaxed) < bytes {
            // The process has its own limits as well.
            let _ = self.set("memory.max", bytes);
        }
    }

    /// Whether the kernel has ended it since it used more memory than it may.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.and_then(|kills| kills.trim().parse::<u64>().ok()).is_some_and(|kills| kills > 0)
    }

    /// Sets a limit, if the controller is there.
    fn set(&self, name: &str, value: u64) -> io::Result<()> {
        let path = self.path.join(name);
        if path.exists() { fs::write(path, value.to_string()) } else { Ok(()) }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its process has ended. One that could not be ended keeps it, and the next start of a node looks again.
        let _ = fs::remove_dir(&self.path);
    }
}

fn make(group: &Path) -> io::Result<()> {
    match fs::create_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn is_delegated(group: &Path) -> bool {
    let mut value = [0; 8];
    MARKS.iter().any(|mark| matches!(getxattr(group, *mark, &mut value[..]), Ok(1) if value[0] == b'1'))
}

/// The folder of the process's group of the second version; none if there is no such hierarchy.
fn own_group(mounts: &str, groups: &str) -> Option<PathBuf> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        // `36 35 98:0 ROOT MOUNT options ... - cgroup2 ...`: ROOT is the group that is seen at MOUNT.
        let (place, kind) = line.split_once(" - ")?;
        kind.starts_with("cgroup2 ").then_some(())?;
        let mut fields = place.split(' ').skip(3);
        let (root, mount) = (fields.next()?, fields.next()?);
        let below = Path::new(path).strip_prefix(root).ok()?;
        // Without the slash at the end that nothing below would leave.
        Some(Path::new(mount).components().chain(below.components()).collect())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_own_group_is_found_whatever_is_mounted_where() {
        let whole = "24 1 0:22 / /sys rw - sysfs sysfs rw\n36 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
        let own = own_group(whole, "0::/system.slice/posemesh-node.service\n");
        assert_eq!(own, Some(PathBuf::from("/sys/fs/cgroup/system.slice/posemesh-node.service")));
        assert_eq!(own_group(whole, "0::/\n"), Some(PathBuf::from("/sys/fs/cgroup")));
        let both = "30 24 0:25 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                    31 24 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let own = own_group(both, "4:memory:/x\n0::/node\n");
        assert_eq!(own, Some(PathBuf::from("/sys/fs/cgroup/unified/node")));
        let part = "36 24 0:30 /pod/a /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
        assert_eq!(own_group(part, "0::/pod/a/b\n"), Some(PathBuf::from("/sys/fs/cgroup/b")));
        assert_eq!(own_group(part, "0::/elsewhere\n"), None);
        assert_eq!(own_group("", "0::/x\n"), None);
        assert_eq!(own_group(both, "4:memory:/x\n"), None);
    }

    /// A folder with the files that the kernel would put there.
    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cgroup.controllers"), "cpu memory\n").unwrap();
        dir
    }

    #[test]
    fn a_node_goes_into_a_group_of_its_own_and_hands_on_what_there_is() {
        let dir = folder();
        let left = dir.path().join("sandbox-1-1");
        fs::create_dir(&left).unwrap();
        let groups = Groups { base: dir.path().to_owned() };
        groups.prepare(dir.path()).unwrap();
        let written = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(
            (written("node/cgroup.procs"), written("cgroup.subtree_control")),
            ("0".into(), "+memory".into())
        );
        assert!(!left.exists());
        // One that a service manager has put below is in its own already.
        let dir = folder();
        Groups { base: dir.path().to_owned() }.prepare(&dir.path().join("main")).unwrap();
        assert!(!dir.path().join(NODE).exists());
    }

    #[test]
    fn a_process_may_have_more_memory_and_never_less() {
        let dir = folder();
        let group = Groups { base: dir.path().to_owned() }.group(7).unwrap();
        let file = |name: &str| group.path.join(name);
        fs::write(file("memory.max"), "max").unwrap();
        for (allowed, want) in [(5, "5"), (9, "9"), (6, "9")] {
            group.allow_memory(allowed);
            assert_eq!(fs::read_to_string(file("memory.max")).unwrap(), want);
        }
        group.take(12).unwrap();
        assert_eq!(fs::read_to_string(file("cgroup.procs")).unwrap(), "12");
        assert!(!group.ran_out_of_memory());
        fs::write(file("memory.events"), "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n").unwrap();
        assert!(group.ran_out_of_memory());
    }

    #[test]
    fn a_folder_without_a_mark_is_nobodys_to_use() {
        assert!(!is_delegated(tempfile::tempdir().unwrap().path()));
    }
}
