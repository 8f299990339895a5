//! What dead processes left in `WORK_DIR`: found by the locks that nobody holds, and removed.

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use posemesh_files::remove_tree;
use posemesh_text::one_line;
use rustix::fs::OFlags;
use tracing::{info, warn};

use super::journal;

// Nothing is removed without this prefix: `WORK_DIR` may hold what belongs to others.
pub(super) const PROCESS_PREFIX: &str = "node-";
/// What the names of journals begin with.
pub(super) const JOURNAL: &str = "leases-";
/// How long the folder of a dead node of another identity is left to that node.
const FOREIGN_TIME: Duration = Duration::from_secs(3600);
/// How much of a path is shown, in bytes.
const MAX_SHOWN: usize = 512;

/// The directories of dead processes. Called with `WORK_DIR` locked, so no directory is seen between its making and
/// its locking.
pub(super) fn dead_processes(root: &Path, own: &Path, journal_name: &str) -> Vec<PathBuf> {
    // No reason not to start: what dead processes left costs space only.
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let mut dead = Vec::new();
    for entry in entries.flatten() {
        let is_process = entry.file_name().to_string_lossy().starts_with(PROCESS_PREFIX);
        // Not following links: a link is not a directory here.
        if !is_process || !entry.file_type().is_ok_and(|kind| kind.is_dir()) || entry.path() == own {
            continue;
        }
        // In a shared folder anybody can make one, with leases in it that this node is to give back.
        if !entry.metadata().is_ok_and(|found| found.uid() == rustix::process::geteuid().as_raw()) {
            continue;
        }
        let path = entry.path();
        // Whoever may write to WORK_DIR chose the name.
        let shown = one_line(path.display(), MAX_SHOWN);
        match is_dead(&path) {
            Ok(false) => {}
            Ok(true) if holds_leases_of_others(&path, journal_name) => {
                info!(path = %one_line(path.display(), MAX_SHOWN), "left for a node of another identity, which died with leases");
            }
            Ok(true) => dead.push(path),
            // Left alone: to remove what a living process uses would be worse than to leave rubbish.
            Err(error) => warn!(%error, "can't tell whether this directory is in use, so it stays: {shown}"),
        }
    }
    dead
}

/// Whether a node of another identity may still give back what this dead one held.
fn holds_leases_of_others(process_dir: &Path, journal_name: &str) -> bool {
    let Ok(entries) = fs::read_dir(process_dir) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let written = entry.metadata().and_then(|entry| entry.modified()).ok();
        let is_fresh = written.and_then(|at| at.elapsed().ok()).is_none_or(|age| age < FOREIGN_TIME);
        name.starts_with(JOURNAL)
            && name != journal_name
            && is_fresh
            && !journal::read(&entry.path()).is_empty()
    })
}

fn is_dead(process_dir: &Path) -> io::Result<bool> {
    // Anything may lie there by now: neither links nor pipes are followed.
    let flags = (OFlags::DIRECTORY | OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    match OpenOptions::new().read(true).custom_flags(flags).open(process_dir)?.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

pub(super) fn remove_dead(path: &Path) {
    match remove_tree(path) {
        Ok(()) => {
            let shown = one_line(path.display(), MAX_SHOWN);
            info!("removed what a process left that ended without cleaning up: {shown}")
        }
        Err(error) => warn!("could not remove what a dead process left: {error}"),
    }
}
