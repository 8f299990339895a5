//! Private directories: one a task, all of them in one a process, gone when their owner is.
//!
//! ```text
//! WORK_DIR/sweep.lock               held while a process sweeps and makes its own directory
//! WORK_DIR/node-<pid>-<random>/lock held for as long as the process lives
//! WORK_DIR/node-<pid>-<random>/task-<random>/
//! WORK_DIR/node-<pid>-<random>/logs/  what the runners of the last tasks printed
//! ```
//! A directory whose lock can be taken belongs to a process that ended without cleaning up. Process ids are
//! in the names for people only: the system reuses them.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use posemesh_runner_api::disk::TaskDisk;
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

// The sweep removes nothing without this prefix: `WORK_DIR` may hold what belongs to others.
const PROCESS_PREFIX: &str = "node-";
const TASK_PREFIX: &str = "task-";
// Never removed: a process that holds the lock of a removed file keeps nobody out.
const SWEEP_LOCK: &str = "sweep.lock";
const LOGS: &str = "logs";
const PROCESS_LOCK: &str = "lock";

/// The directory of this process under `WORK_DIR`; removed when this is dropped.
#[derive(Debug)]
pub(crate) struct WorkDirs {
    own: TempDir,
    /// Shows other processes that the directory is in use. The system releases it if the process dies.
    _lock: File,
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
    /// of this process.
    ///
    /// # Errors
    /// When that can't be done in `root`. What can't be removed is logged and left.
    pub(crate) async fn open(root: PathBuf) -> Result<Self, WorkDirError> {
        let at = root.clone();
        // The lock may be waited for as long as another process sweeps, and a sweep removes whole trees.
        spawn_blocking(move || Self::open_blocking(&root)).await.unwrap_or_else(|error| {
            Err(WorkDirError { what: "could not prepare", path: at, source: io::Error::other(error) })
        })
    }

    fn open_blocking(root: &Path) -> Result<Self, WorkDirError> {
        let fail = |what, path: &Path| {
            let path = path.to_owned();
            move |source| WorkDirError { what, path, source }
        };
        // Private from the start: a mode that is set later leaves a moment in which others can look in.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(fail("could not make", root))?;
        let sweep_path = root.join(SWEEP_LOCK);
        let sweep_lock = lock_file(&sweep_path).map_err(fail("could not open", &sweep_path))?;
        // Held until this returns, so that nobody sweeps the new directory before it is locked.
        sweep_lock.lock().map_err(fail("could not lock", &sweep_path))?;
        sweep(root);
        let own = private_dir(root, &format!("{PROCESS_PREFIX}{}-", std::process::id()))
            .map_err(fail("could not make a directory in", root))?;
        let lock_path = own.path().join(PROCESS_LOCK);
        let lock = lock_file(&lock_path).map_err(fail("could not open", &lock_path))?;
        // Does not wait: nobody else opens this file while the sweep lock is held.
        lock.lock().map_err(fail("could not lock", &lock_path))?;
        let logs = own.path().join(LOGS);
        fs::DirBuilder::new().mode(0o700).create(&logs).map_err(fail("could not make", &logs))?;
        Ok(Self { own, _lock: lock })
    }

    /// Where logs are kept that outlive their tasks.
    pub(crate) fn logs(&self) -> PathBuf {
        self.own.path().join(LOGS)
    }

    /// Makes an empty private directory (0700) for a task.
    ///
    /// # Errors
    /// When it can't be made.
    pub(crate) async fn task_dir(&self) -> io::Result<TaskDir> {
        let parent = self.own.path().to_owned();
        let dir =
            spawn_blocking(move || private_dir(&parent, TASK_PREFIX)).await.map_err(io::Error::other)??;
        Ok(TaskDir { disk: TaskDisk::new(dir.path()), dir: Some(dir) })
    }
}

/// The private directory of one task; removed, off the runtime's threads, when this is dropped.
#[derive(Debug)]
pub(crate) struct TaskDir {
    /// Taken when it is removed.
    dir: Option<TempDir>,
    disk: TaskDisk,
}

impl TaskDir {
    /// The directory with its budget, for those who write there.
    pub(crate) fn disk(&self) -> &TaskDisk {
        &self.disk
    }

    /// Removes the directory and waits until it is gone. A failure is logged: the next start sweeps.
    pub(crate) async fn remove(mut self) {
        if let Some(dir) = self.dir.take() {
            // An error means that the runtime ends; the directory is removed with the closure then.
            let _ = spawn_blocking(move || remove(dir)).await;
        }
    }
}

impl Drop for TaskDir {
    fn drop(&mut self) {
        let Some(dir) = self.dir.take() else { return };
        // Removing a tree blocks, so it is handed over; without a runtime there is no thread to hand it to.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || remove(dir))),
            Err(_) => remove(dir),
        }
    }
}

fn remove(dir: TempDir) {
    let path = dir.path().to_owned();
    // By `close`, since a `drop` would swallow the error.
    if let Err(error) = dir.close() {
        warn!(path = %path.display(), %error, "a task's directory could not be removed; the next start tries again");
    }
}

fn private_dir(parent: &Path, prefix: &str) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(prefix).permissions(fs::Permissions::from_mode(0o700)).tempdir_in(parent)
}

fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// Removes the directories of dead processes. Called with the sweep lock held, so no directory is seen
/// between its making and its locking.
fn sweep(root: &Path) {
    // No reason not to start: what dead processes left costs space only.
    let Ok(entries) = fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let is_process = entry.file_name().to_string_lossy().starts_with(PROCESS_PREFIX);
        // Not following links: a link is not a directory here.
        if !is_process || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        match is_dead(&path) {
            Ok(false) => {}
            Ok(true) => match fs::remove_dir_all(&path) {
                Ok(()) => {
                    info!(path = %path.display(), "removed what a process left that ended without cleaning up")
                }
                Err(error) => {
                    warn!(path = %path.display(), %error, "could not remove what a dead process left")
                }
            },
            // Left alone: to remove what a living process uses would be worse than to leave rubbish.
            Err(error) => {
                warn!(path = %path.display(), %error, "can't tell whether this directory is in use")
            }
        }
    }
}

fn is_dead(process_dir: &Path) -> io::Result<bool> {
    let lock = match File::open(process_dir.join(PROCESS_LOCK)) {
        Ok(lock) => lock,
        // It died between making the directory and its lock: the sweep lock hides that moment of a living one.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    match lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(root: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != SWEEP_LOCK)
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn task_directories_are_private_empty_and_gone_afterwards() {
        let root = tempfile::tempdir().unwrap();
        let dirs = WorkDirs::open(root.path().join("made/for/us")).await.unwrap();
        let task = dirs.task_dir().await.unwrap();
        let path = task.disk().path().to_owned();
        assert!(path.file_name().unwrap().to_str().unwrap().starts_with(TASK_PREFIX));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(dirs.own.path()).unwrap().permissions().mode() & 0o777, 0o700);
        fs::create_dir_all(path.join("sandbox/deep")).unwrap();
        fs::write(path.join("sandbox/deep/file"), "x").unwrap();
        task.remove().await;
        assert!(!path.exists(), "a task's directory is removed with all that is in it");
        drop(dirs);
        assert_eq!(names(&root.path().join("made/for/us")), [""; 0], "the process's directory is gone too");
    }

    #[tokio::test]
    async fn a_sweep_removes_what_dead_processes_left_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let alive = WorkDirs::open(root.path().to_owned()).await.unwrap();
        let alive_task = alive.task_dir().await.unwrap();
        for dead in ["node-1-locked", "node-2-never-locked", "someone-elses"] {
            fs::create_dir_all(root.path().join(dead).join("task-x")).unwrap();
        }
        fs::write(root.path().join("node-1-locked").join(PROCESS_LOCK), "").unwrap();
        fs::write(root.path().join("node-file"), "").unwrap();
        std::os::unix::fs::symlink(root.path().join("someone-elses"), root.path().join("node-link")).unwrap();

        let second = WorkDirs::open(root.path().to_owned()).await.unwrap();
        assert!(alive_task.disk().path().exists(), "a living process keeps its directories");
        assert!(root.path().join("someone-elses/task-x").exists(), "links are not followed");
        let mut want: Vec<_> = [alive.own.path(), second.own.path()]
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .into_iter()
            .chain(["node-file", "node-link", "someone-elses"].map(str::to_owned))
            .collect();
        want.sort();
        assert_eq!(names(root.path()), want);
    }

    #[tokio::test]
    async fn a_root_that_cannot_be_used_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let error = WorkDirs::open(file.clone()).await.unwrap_err().to_string();
        assert!(error.contains(&*file.to_string_lossy()) && error.contains("WORK_DIR"), "{error}");
    }
}
