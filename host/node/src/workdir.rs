//! Private directories: one a task, all of them in one a process, gone when their owner is.
//!
//! ```text
//! WORK_DIR/                               locked while a process sweeps and makes its own directory
//! WORK_DIR/pause-<owner>.json             a pause of the node's own, which outlives its process
//! WORK_DIR/paused-<owner>.json            an operator's pause, which does so as well
//! WORK_DIR/node-<pid>-<random>/           locked for as long as the process lives
//! WORK_DIR/node-<pid>-<random>/task-<number>/  of tasks that have use for one
//! WORK_DIR/node-<pid>-<random>/guests/    the folders of sandbox processes, with what runners write
//! WORK_DIR/node-<pid>-<random>/control.sock  what commands on this machine ask
//! WORK_DIR/node-<pid>-<random>/logs/      what the runners of the last tasks printed
//! WORK_DIR/node-<pid>-<random>/leases-<owner>  the journal of the leases that the process holds
//! ```
//! The directories themselves are locked, and no files in them: whoever cleans up temporary files can delete a file
//! and let a second process take the directory of a living one. A directory whose lock can be taken belongs to a
//! process that ended without cleaning up. Process ids are in the names for people only: the system reuses them.
//!
//! A journal has its node's identity in its name: nodes of other identities, or for another job server, can't give its leases
//! back, and leave its folder to whoever can until the leases are past any TTL.
//!
//! A directory that goes while the node runs is made again, under its name.

mod journal;
mod sweep;

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use posemesh_files::remove_tree;
use posemesh_runner_api::disk::TaskDisk;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::journal::OrphanedLease;

pub(crate) use journal::FileJournal;
use journal::MAX_ORPHANS;
use sweep::{JOURNAL, PROCESS_PREFIX, dead_processes, remove_dead};

const TASK_PREFIX: &str = "task-";
const LOGS: &str = "logs";
const GUESTS: &str = "guests";
/// The name of the Unix socket in the directory of a process.
pub(crate) const CONTROL_SOCKET: &str = "control.sock";

/// The directory of this process under `WORK_DIR`; removed when this is dropped.
#[derive(Debug)]
pub(crate) struct WorkDirs {
    root: PathBuf,
    /// The directory of this process.
    own: PathBuf,
    /// The open directory. Its lock shows other processes that it is in use; the system releases it if the process
    /// dies.
    held: Mutex<File>,
    journal: Arc<FileJournal>,
    /// How many tasks had a place for a directory.
    tasks: AtomicU64,
    /// Stands for the identity and the job server of the node.
    owner: String,
}

/// What can be wrong with `WORK_DIR`.
#[derive(Debug, thiserror::Error)]
#[error("{what} {}: {source}; is WORK_DIR a directory that this user may write to?", path.display())]
pub(crate) struct WorkDirError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl WorkDirs {
    /// Makes `root` if it does not exist, removes what dead processes left in it, and makes the directory
    /// of this process. Returns the leases that dead processes of the same owner held as well: the identity and job
    /// server of a node, in words that are no secret.
    ///
    /// # Errors
    /// When that can't be done in `root`. What can't be removed is logged and left.
    pub(crate) async fn open(root: PathBuf, owner: &str) -> Result<(Self, Vec<OrphanedLease>), WorkDirError> {
        let at = root.clone();
        let digest = hex::encode(Sha256::digest(owner));
        let owner = digest.get(..16).unwrap_or_default().to_owned();
        // The lock may be waited for as long as another process sweeps, and a sweep removes whole trees.
        spawn_blocking(move || Self::open_blocking(root, owner)).await.unwrap_or_else(|error| {
            Err(WorkDirError { what: "could not prepare", path: at, source: io::Error::other(error) })
        })
    }

    fn open_blocking(root: PathBuf, owner: String) -> Result<(Self, Vec<OrphanedLease>), WorkDirError> {
        let journal_name = format!("{JOURNAL}{owner}");
        // Held until this returns, so that nobody sweeps the new directory before it is locked.
        let _root_lock = lock_root(&root)?;
        let own = make_private(&root, &format!("{PROCESS_PREFIX}{}-", std::process::id()))
            .map_err(failed("could not make a directory in", &root))?;
        let held = hold(&own)?;
        make_logs(&own)?;
        let dead = dead_processes(&root, &own, &journal_name);
        let orphans = dead
            .iter()
            .flat_map(|dir| journal::read(&dir.join(&journal_name)))
            .take(MAX_ORPHANS)
            .collect::<Vec<_>>();
        // Taken over before their folders go: if this process dies as well, the next one finds them here.
        let journal = Arc::new(FileJournal::open(own.join(&journal_name), &orphans));
        if !orphans.is_empty() {
            info!(
                leases = orphans.len(),
                "the process before this one died with leases; they are given back"
            );
        }
        for dir in dead {
            remove_dead(&dir);
        }
        Ok((Self { root, own, held: Mutex::new(held), journal, tasks: AtomicU64::new(0), owner }, orphans))
    }

    /// Whether the directory works: that it is there (it is made again if it went), and that a directory and a file
    /// with bytes can be made in it.
    ///
    /// # Errors
    /// When it does not work; the text says why. Blocks.
    pub(crate) fn check(&self) -> Result<(), WorkDirError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |there: &fs::Metadata, held: &fs::Metadata| {
            (there.dev(), there.ino()) == (held.dev(), held.ino())
        };
        let there =
            fs::metadata(&self.own).is_ok_and(|own| held.metadata().is_ok_and(|held| same(&own, &held)));
        if !there {
            warn!(path = %self.own.display(), "the node's directory in WORK_DIR has gone; it is made again");
            let _root_lock = lock_root(&self.root)?;
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.own)
                .map_err(failed("could not make", &self.own))?;
            *held = hold(&self.own)?;
        }
        // With the folder, or a cleaner may have taken the file alone: what is written to it then is lost.
        self.journal.look();
        make_logs(&self.own)?;
        let probe =
            make_private(&self.own, "probe-").map_err(failed("could not make a directory in", &self.own))?;
        let written =
            fs::write(probe.join("file"), [0; 4096]).map_err(failed("could not write in", &self.own));
        let removed = remove_tree(&probe).map_err(io::Error::other);
        written.and(removed.map_err(failed("could not remove a directory in", &self.own)))
    }

    /// The folder that all of it is in.
    pub(crate) fn path(&self) -> &Path {
        &self.own
    }

    /// Where logs are kept that outlive their tasks.
    pub(crate) fn logs(&self) -> PathBuf {
        self.own.join(LOGS)
    }

    /// Where the Unix socket of this process is.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.own.join(CONTROL_SOCKET)
    }

    /// Where a pause of this identity at this job server is noted beyond the process.
    #[cfg_attr(not(feature = "plugins"), allow(dead_code))]
    pub(crate) fn pause_file(&self) -> PathBuf {
        self.root.join(format!("pause-{}.json", self.owner))
    }

    /// Where it is noted that an operator paused this identity at this job server.
    #[cfg_attr(not(feature = "plugins"), allow(dead_code))]
    pub(crate) fn paused_file(&self) -> PathBuf {
        self.root.join(format!("paused-{}.json", self.owner))
    }

    /// Where sandbox processes have their folders; made when the first one starts.
    pub(crate) fn guests(&self) -> PathBuf {
        self.own.join(GUESTS)
    }

    /// The journal of the leases that this process holds.
    pub(crate) fn journal(&self) -> Arc<FileJournal> {
        self.journal.clone()
    }
}

/// Where tasks get their directories. The simulation has one without a file system.
pub(crate) trait TaskDirs: Send + Sync {
    /// A place for a task's private directory, which is made when the task has use for it.
    fn task_dir(&self) -> TaskDir;
}

impl TaskDirs for WorkDirs {
    fn task_dir(&self) -> TaskDir {
        // Nobody else makes anything in this process's directory.
        let number = self.tasks.fetch_add(1, Ordering::Relaxed);
        TaskDir::new(self.own.join(format!("{TASK_PREFIX}{number}")))
    }
}

impl Drop for WorkDirs {
    fn drop(&mut self) {
        // A node that was ended at once still holds leases: the next start gives them back.
        if self.journal.is_empty()
            && let Err(error) = remove_tree(&self.own)
        {
            warn!("the node's directory: {error}; the next start tries again");
        }
    }
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> WorkDirError + use<'a> {
    move |source| WorkDirError { what, path: path.to_owned(), source }
}

/// Makes `WORK_DIR` if it is not there, and locks it.
fn lock_root(root: &Path) -> Result<File, WorkDirError> {
    // Private from the start: a mode that is set later leaves a moment in which others can look in.
    DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(failed("could not make", root))?;
    close(root)?;
    let lock = File::open(root).map_err(failed("could not open", root))?;
    lock.lock().map_err(failed("could not lock", root))?;
    Ok(lock)
}

/// Takes `WORK_DIR` from other users: they could replace the private directories in it. One that is theirs is refused; one
/// that is shared and sticky, as `/tmp` is, stays as it is, since nobody can replace what is in it.
fn close(root: &Path) -> Result<(), WorkDirError> {
    let found = fs::metadata(root).map_err(failed("could not look at", root))?;
    let (owner, us) = (found.uid(), rustix::process::geteuid().as_raw());
    if owner != us && owner != 0 {
        let whose = io::Error::other(format!("it belongs to user {owner}, and this process is user {us}"));
        return Err(failed("can't use", root)(whose));
    }
    let (mode, sticky) = (found.mode() & 0o7777, found.mode() & 0o1000 != 0);
    if owner == us && found.is_dir() && mode & 0o022 != 0 && !sticky {
        warn!(path = %root.display(), mode = format!("{mode:04o}"), "other users could write to WORK_DIR; it is closed to them");
        let closed = fs::Permissions::from_mode(mode & !0o022);
        fs::set_permissions(root, closed).map_err(failed("could not close", root))?;
    }
    Ok(())
}

/// Locks the directory of this process. Does not wait: nobody else locks it while `WORK_DIR` is locked.
fn hold(own: &Path) -> Result<File, WorkDirError> {
    let held = File::open(own).map_err(failed("could not open", own))?;
    held.lock().map_err(failed("could not lock", own))?;
    Ok(held)
}

fn make_logs(own: &Path) -> Result<(), WorkDirError> {
    let logs = own.join(LOGS);
    // A file or a link there would never heal: nobody but this process has anything to put there.
    if fs::symlink_metadata(&logs).is_ok_and(|there| !there.is_dir()) {
        warn!(path = %logs.display(), "something else lies where the logs of tasks belong; it is removed");
        remove_tree(&logs).map_err(io::Error::other).map_err(failed("could not remove", &logs))?;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&logs).map_err(failed("could not make", &logs))
}

/// The private directory of one task; removed, off the runtime's threads, when this is dropped.
#[derive(Debug)]
pub(crate) struct TaskDir {
    disk: TaskDisk,
    /// It was removed, or is about to be.
    removed: bool,
}

impl TaskDir {
    fn new(path: PathBuf) -> Self {
        Self { disk: TaskDisk::new(path), removed: false }
    }

    /// A directory that exists in name only.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn simulated() -> Self {
        Self::new(PathBuf::from("simulated"))
    }

    /// The directory with its budget, for those who write there.
    pub(crate) fn disk(&self) -> &TaskDisk {
        &self.disk
    }

    /// Removes the directory and waits until it is gone. A failure is logged: the next start sweeps.
    pub(crate) async fn remove(mut self) {
        if let Some(path) = self.take() {
            // An error means that the runtime ends; the directory is removed with the closure then.
            let _ = spawn_blocking(move || remove_task(&path)).await;
        }
    }

    /// What is to be removed; nothing if no directory was needed.
    fn take(&mut self) -> Option<PathBuf> {
        let removed = std::mem::replace(&mut self.removed, true);
        (!removed && self.disk.is_used()).then(|| self.disk.path().to_owned())
    }
}

impl Drop for TaskDir {
    fn drop(&mut self) {
        let Some(path) = self.take() else { return };
        // Removing a tree blocks, so it is handed over; without a runtime there is no thread to hand it to.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || remove_task(&path))),
            Err(_) => remove_task(&path),
        }
    }
}

/// Removes a task's directory with all that is in it: a runner wrote there, so it may hold anything.
fn remove_task(path: &Path) {
    // Not by `TempDir`: the standard library calls itself for each level, and a deep tree would end the process.
    if let Err(error) = remove_tree(path) {
        warn!("the directory of a task: {error}; the next start tries again");
    }
}

/// Makes a directory that nobody else may look into.
fn make_private(parent: &Path, prefix: &str) -> io::Result<PathBuf> {
    let private = fs::Permissions::from_mode(0o700);
    Ok(tempfile::Builder::new().prefix(prefix).permissions(private).tempdir_in(parent)?.keep())
}

#[cfg(test)]
mod tests;
