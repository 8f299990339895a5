//! Private directories: one a task, all of them in one a process, gone when their owner is.
//!
//! ```text
//! WORK_DIR/                               locked while a process sweeps and makes its own directory
//! WORK_DIR/node-<pid>-<random>/           locked for as long as the process lives
//! WORK_DIR/node-<pid>-<random>/task-<random>/
//! WORK_DIR/node-<pid>-<random>/guests/    the folders of sandbox processes, with what runners write
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
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
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
        let journal_name = format!("{JOURNAL}{}", digest.get(..16).unwrap_or_default());
        // The lock may be waited for as long as another process sweeps, and a sweep removes whole trees.
        spawn_blocking(move || Self::open_blocking(root, journal_name)).await.unwrap_or_else(|error| {
            Err(WorkDirError { what: "could not prepare", path: at, source: io::Error::other(error) })
        })
    }

    fn open_blocking(
        root: PathBuf,
        journal_name: String,
    ) -> Result<(Self, Vec<OrphanedLease>), WorkDirError> {
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
        Ok((Self { root, own, held: Mutex::new(held), journal }, orphans))
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
#[async_trait]
pub(crate) trait TaskDirs: Send + Sync {
    /// Makes an empty private directory (0700) for a task.
    ///
    /// # Errors
    /// When it can't be made.
    async fn task_dir(&self) -> io::Result<TaskDir>;
}

#[async_trait]
impl TaskDirs for WorkDirs {
    async fn task_dir(&self) -> io::Result<TaskDir> {
        let parent = self.own.clone();
        let made = spawn_blocking(move || make_private(&parent, TASK_PREFIX).map(PrivateDir)).await;
        let dir = made.map_err(io::Error::other)??;
        Ok(TaskDir { disk: TaskDisk::new(&dir.0), dir: Some(dir) })
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
    /// Taken when it is removed.
    dir: Option<PrivateDir>,
    disk: TaskDisk,
}

impl TaskDir {
    /// A directory that exists in name only.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn simulated() -> Self {
        Self { dir: None, disk: TaskDisk::new("simulated") }
    }

    /// The directory with its budget, for those who write there.
    pub(crate) fn disk(&self) -> &TaskDisk {
        &self.disk
    }

    /// Removes the directory and waits until it is gone. A failure is logged: the next start sweeps.
    pub(crate) async fn remove(mut self) {
        if let Some(dir) = self.dir.take() {
            // An error means that the runtime ends; the directory is removed with the closure then.
            let _ = spawn_blocking(move || drop(dir)).await;
        }
    }
}

impl Drop for TaskDir {
    fn drop(&mut self) {
        let Some(dir) = self.dir.take() else { return };
        // Removing a tree blocks, so it is handed over; without a runtime there is no thread to hand it to.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(dir))),
            Err(_) => drop(dir),
        }
    }
}

/// The directory of a task, removed with all that is in it when this is dropped: a runner wrote there, so it may hold
/// anything.
#[derive(Debug)]
struct PrivateDir(PathBuf);

impl Drop for PrivateDir {
    fn drop(&mut self) {
        // Not by `TempDir`: the standard library calls itself for each level, and a deep tree would end the process.
        if let Err(error) = remove_tree(&self.0) {
            warn!("the directory of a task: {error}; the next start tries again");
        }
    }
}

/// Makes a directory that nobody else may look into.
fn make_private(parent: &Path, prefix: &str) -> io::Result<PathBuf> {
    let private = fs::Permissions::from_mode(0o700);
    Ok(tempfile::Builder::new().prefix(prefix).permissions(private).tempdir_in(parent)?.keep())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const OWNER: &str = "dms wallet";

    fn names(root: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn task_directories_are_private_empty_and_gone_afterwards() {
        let root = tempfile::tempdir().unwrap();
        let (dirs, _) = WorkDirs::open(root.path().join("made/for/us"), OWNER).await.unwrap();
        let task = dirs.task_dir().await.unwrap();
        let path = task.disk().path().to_owned();
        assert!(path.file_name().unwrap().to_str().unwrap().starts_with(TASK_PREFIX));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(&dirs.own).unwrap().permissions().mode() & 0o777, 0o700);
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
        let (alive, _) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
        let alive_task = alive.task_dir().await.unwrap();
        for dead in ["node-1-dead", "node-2-dead", "someone-elses"] {
            fs::create_dir_all(root.path().join(dead).join("task-x")).unwrap();
        }
        fs::write(root.path().join("node-file"), "").unwrap();
        std::os::unix::fs::symlink(root.path().join("someone-elses"), root.path().join("node-link")).unwrap();

        let (second, _) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
        assert!(alive_task.disk().path().exists(), "a living process keeps its directories");
        assert!(root.path().join("someone-elses/task-x").exists(), "links are not followed");
        let mut want: Vec<_> = [&alive.own, &second.own]
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .into_iter()
            .chain(["node-file", "node-link", "someone-elses"].map(str::to_owned))
            .collect();
        want.sort();
        assert_eq!(names(root.path()), want);
    }

    /// A start survives whatever lies in `WORK_DIR`, and leaves what it can't know to be dead.
    #[tokio::test]
    async fn a_start_survives_whatever_lies_in_work_dir() {
        use std::os::unix::net::UnixListener;

        use rustix::fs::{CWD, FileType, Mode, OFlags, mkdirat, mknodat, openat};

        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let fifo = |path: PathBuf| mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        fifo(at("node-fifo"));
        let _socket = UnixListener::bind(at("node-socket")).unwrap();
        // A journal of leases that is none.
        for dead in ["node-journal-is-a-fifo", "node-journal-is-a-folder"] {
            fs::create_dir(at(dead)).unwrap();
        }
        fifo(at("node-journal-is-a-fifo/leases-0"));
        fs::create_dir(at("node-journal-is-a-folder/leases-0")).unwrap();
        // Deeper than a path can name, and than the standard library can remove.
        fs::create_dir(at("node-deep")).unwrap();
        let mut folder = openat(CWD, at("node-deep"), OFlags::DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..14_100 {
            mkdirat(&folder, "down", Mode::RWXU).unwrap();
            folder = openat(&folder, "down", OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        let closed = at("node-closed");
        fs::create_dir_all(closed.join("task-x")).unwrap();
        fs::set_permissions(closed.join("task-x"), fs::Permissions::from_mode(0o000)).unwrap();
        let odd = at("node-\u{1b}[2J odd");
        fs::create_dir(&odd).unwrap();

        let (dirs, orphans) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
        assert!(orphans.is_empty());
        let own = dirs.own.file_name().unwrap().to_str().unwrap().to_owned();
        let left: Vec<_> = names(root.path()).into_iter().filter(|name| *name != own).collect();
        assert_eq!(left, ["node-fifo", "node-socket"], "what is no directory is nobody's that died");
    }

    #[tokio::test]
    async fn a_root_that_cannot_be_used_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let error = WorkDirs::open(file.clone(), OWNER).await.unwrap_err().to_string();
        assert!(error.contains(&*file.to_string_lossy()) && error.contains("WORK_DIR"), "{error}");
    }

    #[tokio::test]
    async fn a_root_that_others_could_write_to_is_closed_and_one_of_theirs_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        let work = root.path().join("work");
        fs::create_dir(&work).unwrap();
        for (open, closed) in [(0o777, 0o755), (0o770, 0o750), (0o1777, 0o1777), (0o700, 0o700)] {
            fs::set_permissions(&work, fs::Permissions::from_mode(open)).unwrap();
            drop(WorkDirs::open(work.clone(), OWNER).await.unwrap());
            assert_eq!(mode(&work), closed, "{open:o}");
        }
        // Only root can give directories away.
        if std::os::unix::fs::chown(&work, Some(12_345), None).is_err() {
            return;
        }
        let error = WorkDirs::open(work, OWNER).await.unwrap_err().to_string();
        assert!(error.contains("belongs to user 12345") && error.contains("WORK_DIR"), "{error}");
    }

    #[tokio::test]
    async fn what_another_user_left_is_neither_believed_nor_removed() {
        let root = tempfile::tempdir().unwrap();
        let task_id = uuid::Uuid::from_u128(1);
        let (dirs, _) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
        crate::journal::LeaseJournal::begin(&*dirs.journal(), task_id).await;
        let own = dirs.own.clone();
        drop(dirs);
        if std::os::unix::fs::chown(&own, Some(12_345), None).is_err() {
            return;
        }
        let (_again, orphans) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
        assert_eq!(orphans, [], "somebody else may have made the journal up");
        assert!(own.exists());
    }

    #[tokio::test]
    async fn a_cleaner_of_temporary_files_does_not_give_a_living_nodes_directory_away() {
        let root = tempfile::tempdir().unwrap();
        let (alive, _) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
        let task = alive.task_dir().await.unwrap();
        // Every file that is there goes; the directories are in use.
        for entry in fs::read_dir(&alive.own).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        let (_second, _) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
        assert!(task.disk().path().exists(), "the second node leaves what the first one uses");
    }

    #[tokio::test]
    async fn a_directory_that_goes_is_made_again_and_locked() {
        let root = tempfile::tempdir().unwrap();
        let work = root.path().join("work");
        let (dirs, _) = WorkDirs::open(work.clone(), OWNER).await.unwrap();
        dirs.check().unwrap();
        fs::remove_dir_all(&work).unwrap();
        assert!(dirs.task_dir().await.is_err());
        dirs.check().unwrap();
        assert!(dirs.logs().is_dir());
        let task = dirs.task_dir().await.unwrap();
        let (_second, _) = WorkDirs::open(work, OWNER).await.unwrap();
        assert!(task.disk().path().exists(), "the directory that was made again is locked like the first");
    }

    #[tokio::test]
    async fn whatever_lies_where_the_logs_belong_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let (dirs, _) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
        let elsewhere = root.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let put: [fn(&Path, &Path); 3] = [
            |logs, _| fs::write(logs, "a file").unwrap(),
            |logs, elsewhere| std::os::unix::fs::symlink(elsewhere, logs).unwrap(),
            |logs, _| rustix::fs::mkfifoat(rustix::fs::CWD, logs, rustix::fs::Mode::RWXU).unwrap(),
        ];
        for put in put {
            fs::remove_dir_all(dirs.logs()).unwrap();
            put(&dirs.logs(), &elsewhere);
            dirs.check().unwrap();
            assert!(fs::symlink_metadata(dirs.logs()).unwrap().is_dir());
        }
        assert!(elsewhere.is_dir(), "what a link leads to stays");
    }

    #[tokio::test]
    async fn a_directory_that_can_not_be_written_to_is_an_error_with_its_cure() {
        let root = tempfile::tempdir().unwrap();
        let work = root.path().join("work");
        let (dirs, _) = WorkDirs::open(work.clone(), OWNER).await.unwrap();
        fs::remove_dir_all(&work).unwrap();
        // Not even root can make a directory below a file.
        fs::write(&work, "").unwrap();
        let error = dirs.check().unwrap_err().to_string();
        assert!(error.contains("WORK_DIR"), "{error}");
    }

    #[tokio::test]
    async fn a_node_of_another_identity_leaves_the_journal_to_the_one_that_can_use_it() {
        let root = tempfile::tempdir().unwrap();
        let task_id = uuid::Uuid::from_u128(1);
        let (dirs, _) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
        crate::journal::LeaseJournal::begin(&*dirs.journal(), task_id).await;
        // Dropped with a lease, the folder stays, as after a crash.
        drop(dirs);
        let (other, orphans) = WorkDirs::open(root.path().to_owned(), "dms another").await.unwrap();
        assert_eq!(orphans, []);
        drop(other);
        let (_again, orphans) = WorkDirs::open(root.path().to_owned(), OWNER).await.unwrap();
        assert_eq!(orphans, [OrphanedLease { task_id }]);
    }
}
