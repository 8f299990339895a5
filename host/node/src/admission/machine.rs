//! What the machine, or the container, says that there is. Everything here reads small files of the kernel or makes one
//! system call; it may block when a file system hangs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use posemesh_runner_api::threads::left_to_the_node;
use rustix::process::{Resource, getrlimit};

use crate::threads::startable;

/// Free space that is left alone: logs, the cache and other programs need some.
pub(crate) const SPARE_BYTES: u64 = 16 << 20;
/// Inodes that are left alone.
pub(crate) const SPARE_INODES: u64 = 64;

/// What is free in the file system of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FreeSpace {
    pub(crate) bytes: u64,
    /// None when the file system makes inodes as they are needed.
    pub(crate) inodes: Option<u64>,
}

/// What is free below this folder.
pub(crate) fn free_space(path: &Path) -> io::Result<FreeSpace> {
    let stat = rustix::fs::statvfs(path)?;
    let inodes = (stat.f_files > 0).then_some(stat.f_favail);
    Ok(FreeSpace { bytes: stat.f_bavail.saturating_mul(stat.f_frsize), inodes })
}

/// What one of so many tasks at a time can be given of what is free below this folder, in bytes and files; a tenth is left
/// alone. `u64::MAX` for what the file system does not say.
pub(crate) fn scratch_share(path: &Path, tasks: usize) -> (u64, u64) {
    let share = |free: u64, spare: u64| free.saturating_sub(spare) / 10 * 9 / (tasks.max(1) as u64);
    let of = |space: FreeSpace| {
        let files = space.inodes.map_or(u64::MAX, |free| share(free, SPARE_INODES));
        (share(space.bytes, SPARE_BYTES), files)
    };
    free_space(path).map_or((u64::MAX, u64::MAX), of)
}

/// How many more descriptors the process may open.
pub(crate) fn free_descriptors() -> Option<u64> {
    // An unlimited number is limited by memory only.
    let limit = getrlimit(Resource::Nofile).current?;
    let used = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    // One of them is the listing itself.
    Some((limit + 1).saturating_sub(used))
}

/// How many more threads a task can start, at most `wanted`: what the container says, and what a try shows.
pub(super) fn free_threads(wanted: u64) -> u64 {
    // The container first: what it has no room for need not be tried.
    let wanted = threads_of_container().unwrap_or(u64::MAX).min(wanted);
    // Those of a task are a sandbox process's, which does not get all that there are.
    let left = getrlimit(Resource::Nproc).current.map_or(0, left_to_the_node);
    let startable = startable(usize::try_from(wanted.saturating_add(left)).unwrap_or_default()) as u64;
    startable.saturating_sub(left)
}

/// How many more threads the container may start; none if nothing limits them.
fn threads_of_container() -> Option<u64> {
    own_cgroups()
        .iter()
        .filter_map(|dir| {
            let most = number(&dir.join("pids.max"))?;
            Some(most.saturating_sub(number(&dir.join("pids.current")).unwrap_or_default()))
        })
        .min()
}

/// How many more bytes of addresses this process may reserve; none if nothing limits them.
pub(super) fn free_address_space() -> Option<u64> {
    let limit = getrlimit(Resource::As).current?;
    let mapped_kib = field(&fs::read_to_string("/proc/self/status").ok()?, "VmSize:")?;
    Some(limit.saturating_sub(mapped_kib.saturating_mul(1024)))
}

/// All memory of the machine, or of the container if that is less; in bytes.
pub(crate) fn total_memory() -> u64 {
    let machine = meminfo("MemTotal:").unwrap_or(u64::MAX);
    let container = own_cgroups().iter().filter_map(|dir| memory_limit(dir)).min();
    container.unwrap_or(u64::MAX).min(machine)
}

/// Memory that can be had now without taking it from others; in bytes.
pub(crate) fn available_memory() -> u64 {
    let machine = meminfo("MemAvailable:").unwrap_or(u64::MAX);
    let groups = own_cgroups();
    let container = groups.iter().filter_map(|dir| {
        let limit = memory_limit(dir)?;
        let used =
            number(&dir.join("memory.current")).or_else(|| number(&dir.join("memory.usage_in_bytes")))?;
        // The cache of files is given up when memory is needed.
        let cache = fs::read_to_string(dir.join("memory.stat")).ok();
        let cache = cache.and_then(|stat| field(&stat, "inactive_file")).unwrap_or_default();
        Some(limit.saturating_sub(used.saturating_sub(cache)))
    });
    container.min().unwrap_or(u64::MAX).min(machine)
}

/// The limit of a control group, of either version; none if it has none.
fn memory_limit(dir: &Path) -> Option<u64> {
    let limit = number(&dir.join("memory.max")).or_else(|| number(&dir.join("memory.limit_in_bytes")));
    // The first version writes "no limit" as a number near the largest.
    limit.filter(|limit| *limit < 1 << 60)
}

/// The folders of the control groups that the process is in: its own, and all above it.
fn own_cgroups() -> Vec<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    cgroup_dirs(&groups)
}

fn cgroup_dirs(groups: &str) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for line in groups.lines() {
        // `number:controllers:path`; the second version has no controllers there.
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let base = match controllers {
            "" => PathBuf::from("/sys/fs/cgroup"),
            one if one.split(',').any(|one| one == "memory" || one == "pids") => {
                Path::new("/sys/fs/cgroup").join(one)
            }
            _ => continue,
        };
        let mut dir = base.join(path.trim_start_matches('/'));
        // A container may see its own group as the root.
        while dir.starts_with(&base) {
            dirs.push(dir.clone());
            if !dir.pop() {
                break;
            }
        }
    }
    dirs
}

/// A file that holds one number; none for `max`, or without such a file.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A field of `/proc/meminfo`, in bytes.
fn meminfo(name: &str) -> Option<u64> {
    let kib = field(&fs::read_to_string("/proc/meminfo").ok()?, name)?;
    Some(kib.saturating_mul(1024))
}

/// The number behind a name, in lines of `name number`.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_whitespace);
    lines.find_map(|mut words| (words.next()? == name).then(|| words.next()?.parse().ok())?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_something_of_everything() {
        let total = total_memory();
        assert!((1 << 20..1 << 60).contains(&total), "{total}");
        assert!((1..=total).contains(&available_memory()));
        let space = free_space(Path::new("/")).unwrap();
        assert!(space.bytes > 0);
        assert!(free_descriptors().is_none_or(|free| free > 0));
        assert_eq!(free_threads(8), 8);
        assert!(free_address_space().is_none_or(|free| free > 0));
    }

    #[test]
    fn control_groups_of_both_versions_are_found_with_all_above_them() {
        let dirs = cgroup_dirs("0::/system.slice/node.service\n");
        let want =
            ["/sys/fs/cgroup/system.slice/node.service", "/sys/fs/cgroup/system.slice", "/sys/fs/cgroup"];
        assert_eq!(dirs, want.map(PathBuf::from));
        let dirs = cgroup_dirs("12:memory:/docker/1\n11:cpu,cpuacct:/docker/1\n3:pids:/\n");
        let want = ["memory/docker/1", "memory/docker", "memory", "pids"];
        assert_eq!(dirs, want.map(|dir| Path::new("/sys/fs/cgroup").join(dir)));
        assert_eq!(cgroup_dirs("nonsense\n"), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "MemTotal:       100 kB\nMemAvailable:    7 kB\ninactive_file 12\n";
        assert_eq!(field(text, "MemAvailable:"), Some(7));
        assert_eq!(field(text, "inactive_file"), Some(12));
        assert_eq!(field(text, "inactive"), None);
    }
}
