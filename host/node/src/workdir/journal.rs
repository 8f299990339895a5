//! The journal of leases as a file: a line for each begin (`+ID`) and each end (`-ID`).
//!
//! A thread of its own writes it, so that a disk that hangs holds up no lease. When the file has grown long, or no lease is
//! held any more, a new one with what is left takes its place, in one step, so that a process that dies leaves one of the two; whatever else lies there, a
//! pipe or a folder, is not opened but replaced.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use posemesh_files::remove_tree;
use rustix::fs::OFlags;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::warn;
use uuid::Uuid;

use crate::journal::{LeaseJournal, OrphanedLease};
use posemesh_text::one_line;

/// How many changes wait for the disk at most; what comes beyond is not remembered.
const QUEUED: usize = 1024;
/// What is added to the name of a file that is being written.
const NEXT: &str = ".next";
/// The longest path that is logged.
const MAX_SHOWN: usize = 512;
/// The length at which the file is written anew with what is left.
const MAX_BYTES: u64 = 64 << 10;
/// How soon the end of a lease is written.
const ENDS_INTERVAL: Duration = Duration::from_millis(100);
/// How long a lease waits for its line.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);
/// How many leases of dead processes are given back.
pub(super) const MAX_ORPHANS: usize = 256;
/// How much of a dead process's journal is read.
const MAX_READ: u64 = 1 << 20;

/// A journal in a file. Dropping it leaves the file.
#[derive(Debug)]
pub(crate) struct FileJournal {
    held: Mutex<BTreeSet<Uuid>>,
    /// Ends that are not written yet. Nobody waits for them, so they wake nobody.
    ended: Arc<Mutex<Vec<Uuid>>>,
    changes: SyncSender<Change>,
}

#[derive(Debug)]
enum Change {
    /// The sender is dropped when it is written.
    Begin(Uuid, oneshot::Sender<()>),
    /// The file may have gone, or something else may lie there.
    Look,
}

impl FileJournal {
    /// Begins a file with the leases of others that are still to be given back.
    pub(super) fn open(path: PathBuf, orphans: &[OrphanedLease]) -> Self {
        let held: BTreeSet<Uuid> = orphans.iter().map(|orphan| orphan.task_id).collect();
        let (changes, queue) = sync_channel(QUEUED);
        let ended = Arc::default();
        let mut file = JournalFile {
            path,
            file: None,
            held: held.clone(),
            ended: Arc::clone(&ended),
            bytes: 0,
            failed: false,
        };
        // Here and not in the thread: the folders that the leases come from are removed next.
        file.keep(JournalFile::write_anew);
        // Without the thread nothing is remembered, which costs a TTL at most.
        let started =
            std::thread::Builder::new().name("journal".to_owned()).spawn(move || file.follow(&queue));
        if let Err(error) = started {
            warn!(%error, "the thread that writes the journal of leases can't be started: after a crash they would expire instead of being given back");
        }
        Self { held: Mutex::new(held), ended, changes }
    }

    /// Whether no lease is held.
    pub(super) fn is_empty(&self) -> bool {
        self.held().is_empty()
    }

    /// Has the file looked at, and written anew unless it is there as it was written.
    pub(super) fn look(&self) {
        self.send(Change::Look);
    }

    fn send(&self, change: Change) {
        // Never waits: a full queue means that the disk hangs.
        let _ = self.changes.try_send(change);
    }

    fn held(&self) -> MutexGuard<'_, BTreeSet<Uuid>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LeaseJournal for FileJournal {
    fn begin(&self, task_id: Uuid) -> BoxFuture<'static, ()> {
        self.held().insert(task_id);
        let (writing, written) = oneshot::channel();
        self.send(Change::Begin(task_id, writing));
        // A lease does not wait long for a disk that hangs.
        Box::pin(async { _ = timeout(WRITE_TIMEOUT, written).await })
    }

    fn end(&self, task_id: Uuid) {
        self.held().remove(&task_id);
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(task_id);
    }
}

/// The file, as its thread has it.
struct JournalFile {
    path: PathBuf,
    file: Option<File>,
    held: BTreeSet<Uuid>,
    ended: Arc<Mutex<Vec<Uuid>>>,
    bytes: u64,
    /// Whether the last change could not be written, which is logged once.
    failed: bool,
}

impl JournalFile {
    fn follow(mut self, queue: &Receiver<Change>) {
        loop {
            // Without a lease, and with an empty file, there is nothing to do later.
            let change = match self.held.is_empty() && self.bytes == 0 {
                true => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => queue.recv_timeout(ENDS_INTERVAL),
            };
            let mut lines = String::new();
            // Before what begins: a task may be leased once more.
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.retain(|task_id| {
                let was_held = self.held.remove(task_id);
                if was_held {
                    lines.push_str(&format!("-{task_id}\n"));
                }
                // The begin of the others still waits in the queue, unless that was full.
                !was_held
            });
            if matches!(change, Err(RecvTimeoutError::Timeout)) {
                ended.clear();
            }
            drop(ended);
            let is_quiet = matches!(change, Err(RecvTimeoutError::Timeout));
            // Dropped at the end of the round, when the lines are written.
            let (is_there, _writing) = match change {
                Ok(Change::Begin(task_id, writing)) => {
                    self.held.insert(task_id);
                    lines.push_str(&format!("+{task_id}\n"));
                    (true, Some(writing))
                }
                Ok(Change::Look) => (self.is_there(), None),
                Err(RecvTimeoutError::Timeout) => (true, None),
                Err(RecvTimeoutError::Disconnected) if lines.is_empty() => return,
                Err(RecvTimeoutError::Disconnected) => (true, None),
            };
            if is_there && lines.is_empty() {
                continue;
            }
            // Between leases that come in a row the file is not made anew: a line costs less.
            let is_over = is_quiet && self.held.is_empty();
            match is_there && !is_over && self.file.is_some() && self.bytes < MAX_BYTES {
                true => self.keep(|journal| journal.append(&lines)),
                false => self.keep(Self::write_anew),
            }
        }
    }

    fn keep(&mut self, write: impl FnOnce(&mut Self) -> io::Result<()>) {
        let result = write(self);
        if let Err(error) = &result {
            // The next change writes the whole file.
            self.file = None;
            if !self.failed {
                // The folder alone: the name of the file follows from what the node logs in with.
                let folder = one_line(self.path.parent().unwrap_or(&self.path).display(), MAX_SHOWN);
                warn!(folder, %error, "the journal of leases can't be written: after a crash they would expire instead of being given back");
            }
        }
        self.failed = result.is_err();
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(line.as_bytes())?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Whether the file that was written is still the one in its place.
    fn is_there(&self) -> bool {
        let held = self.file.as_ref().and_then(|file| file.metadata().ok());
        let there = fs::symlink_metadata(&self.path).ok();
        held.zip(there).is_some_and(|(held, there)| (held.dev(), held.ino()) == (there.dev(), there.ino()))
    }

    fn write_anew(&mut self) -> io::Result<()> {
        let lines: String = self.held.iter().map(|task_id| format!("+{task_id}\n")).collect();
        let mut next = self.path.clone().into_os_string();
        next.push(NEXT);
        let next = PathBuf::from(next);
        let written = self.replace_by(&next, &lines);
        if written.is_err() {
            // Half a file is of no use. If this fails too, the next one to be written takes it away.
            let _ = fs::remove_file(&next);
        }
        self.file = Some(written?);
        self.bytes = lines.len() as u64;
        Ok(())
    }

    /// Writes a file beside the journal and puts it in its place.
    fn replace_by(&self, next: &Path, lines: &str) -> io::Result<File> {
        // Neither what a dead writer left nor what somebody else put there is opened.
        remove_tree(next).map_err(io::Error::other)?;
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(next)?;
        file.write_all(lines.as_bytes())?;
        if fs::symlink_metadata(&self.path).is_ok_and(|there| there.is_dir()) {
            // The one thing that a file can't be renamed over.
            remove_tree(&self.path).map_err(io::Error::other)?;
        }
        fs::rename(next, &self.path)?;
        Ok(file)
    }
}

/// The leases that a dead process held, as far as its journal can be read.
pub(super) fn read(path: &Path) -> Vec<OrphanedLease> {
    // Anything may lie there: neither links nor pipes are followed.
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(path) else { return Vec::new() };
    if !file.metadata().is_ok_and(|file| file.is_file()) {
        return Vec::new();
    }
    let mut bytes = Vec::new();
    if file.take(MAX_READ).read_to_end(&mut bytes).is_err() {
        return Vec::new();
    }
    let mut held = BTreeSet::new();
    for line in String::from_utf8_lossy(&bytes).lines() {
        // A line that was cut off by the end of the process says nothing.
        match line.split_at_checked(1).map(|(sign, id)| (sign, id.parse::<Uuid>())) {
            Some(("+", Ok(task_id))) => drop(held.insert(task_id)),
            Some(("-", Ok(task_id))) => drop(held.remove(&task_id)),
            _ => {}
        }
    }
    // No process holds more; whatever else lies there must not hold up the start.
    held.into_iter().take(MAX_ORPHANS).map(|task_id| OrphanedLease { task_id }).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn wait_for(done: impl Fn() -> bool) {
        assert!((0..30_000).any(|_| done() || {
            std::thread::sleep(Duration::from_millis(2));
            false
        }));
    }

    fn until(path: &Path, want: &[Uuid]) {
        let want: Vec<_> = want.iter().map(|task_id| OrphanedLease { task_id: *task_id }).collect();
        wait_for(|| read(path) == want);
    }

    #[tokio::test]
    async fn what_is_held_is_read_by_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        let [one, two, three] = [1, 2, 3].map(Uuid::from_u128);
        let journal = FileJournal::open(path.clone(), &[OrphanedLease { task_id: three }]);
        journal.begin(one).await;
        assert_eq!(read(&path).len(), 2, "it is written when the call returns");
        journal.begin(two).await;
        journal.end(one);
        until(&path, &[two, three]);
        assert!(!journal.is_empty());
        // The file went, with its folder perhaps.
        std::fs::remove_file(&path).unwrap();
        journal.look();
        until(&path, &[two, three]);
        journal.end(two);
        journal.end(three);
        until(&path, &[]);
        assert!(journal.is_empty());
        wait_for(|| std::fs::metadata(&path).unwrap().len() == 0);
    }

    /// Puts something else in the place of a file.
    fn put(kind: &str, path: &Path) {
        remove_tree(path).unwrap();
        match kind {
            "a fifo" => rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RWXU).unwrap(),
            "a folder" => fs::create_dir_all(path.join("with/something")).unwrap(),
            "a link" => std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
            _ => fs::write(path, "somebody else's").unwrap(),
        }
    }

    #[tokio::test]
    async fn whatever_is_put_in_its_place_is_replaced_and_never_opened() {
        let dir = tempfile::tempdir().unwrap();
        for kind in ["a fifo", "a folder", "a link", "another file"] {
            let path = dir.path().join(kind);
            put(kind, &path);
            let mut next = path.clone().into_os_string();
            next.push(NEXT);
            put(kind, Path::new(&next));
            let one = Uuid::from_u128(1);
            // At the start, in the middle, and as the place of the next file.
            let journal = FileJournal::open(path.clone(), &[OrphanedLease { task_id: one }]);
            assert_eq!(read(&path).len(), 1, "{kind}");
            put(kind, &path);
            put(kind, Path::new(&next));
            journal.look();
            until(&path, &[one]);
            assert!(!Path::new(&next).exists(), "{kind}");
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        }
        assert!(fs::metadata("/dev/zero").is_ok(), "what a link leads to stays");
    }

    #[test]
    fn a_disk_that_takes_no_new_file_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        let [one, two] = [1, 2].map(Uuid::from_u128);
        let held = BTreeSet::from([one]);
        let mut file = JournalFile {
            path: path.clone(),
            file: None,
            held,
            ended: Arc::default(),
            bytes: 0,
            failed: false,
        };
        file.write_anew().unwrap();
        file.held.insert(two);
        // A folder can't be made into a file, and one below it can't be opened.
        file.path = path.join("below a file");
        assert!(file.write_anew().is_err());
        assert_eq!(read(&path), [OrphanedLease { task_id: one }]);
    }

    #[test]
    fn whatever_lies_in_its_place_is_no_journal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        assert_eq!(read(&path), []);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(read(&path), []);
        std::fs::remove_file(&path).unwrap();
        let id = Uuid::from_u128(7);
        std::fs::write(&path, format!("nonsense\n+\n\u{e9}{id}\n+{id}\n-{}", &id.to_string()[..8])).unwrap();
        assert_eq!(read(&path), [OrphanedLease { task_id: id }], "a line that was cut off is left out");
    }
}
