//! A task's private directory and its budget of bytes. The directory is made when something is first to lie in it: most
//! tasks need none.
//!
//! Three write there: the runner, into its sandbox; the plugin host, which keeps parts of inputs; the domain
//! client, which keeps artifacts that can't be sent yet. All three share one budget. The runner's host sets it, since
//! only the host knows the runner's limits.
//!
//! ```
//! use posemesh_runner_api::disk::TaskDisk;
//!
//! let disk = TaskDisk::new("/var/lib/node/task-1");
//! disk.set_limit(100);
//! disk.reserve(60)?;
//! assert!(disk.reserve(60).is_err(), "40 bytes are left");
//! disk.release(60);
//! assert_eq!(disk.used(), 0);
//! # Ok::<(), posemesh_runner_api::disk::DiskFull>(())
//! ```

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The directory of one task. Clones share the directory and its budget.
#[derive(Debug, Clone)]
pub struct TaskDisk(Arc<Shared>);

/// What somebody else writes who has the same budget: another process. Both look at the other's part before they add
/// to their own.
pub trait DiskPeer: fmt::Debug + Send + Sync {
    /// Bytes that the other has taken.
    fn used(&self) -> u64;

    /// Tells the other how many bytes are taken here.
    fn tell(&self, used: u64);
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    used: AtomicBool,
    /// One lock for all three: what is checked against the limit must still hold when it is added.
    budget: Mutex<Budget>,
    released: Notify,
}

#[derive(Debug)]
struct Budget {
    limit: u64,
    /// Bytes that the node reserved before it wrote them.
    reserved: u64,
    /// Bytes of the runner's own files: counted before it writes them, and counted anew when it may have removed some.
    written: u64,
    peer: Option<Arc<dyn DiskPeer>>,
}

/// Bytes that the budget has no room for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes more in the task's directory would pass its limit of {limit} (scratch_bytes)")]
pub struct DiskFull {
    /// Bytes that were to be added.
    pub bytes: u64,
    /// The whole budget in bytes.
    pub limit: u64,
}

impl Budget {
    /// What is taken here.
    fn own(&self) -> u64 {
        self.reserved.saturating_add(self.written)
    }

    fn used(&self) -> u64 {
        self.own().saturating_add(self.peer.as_ref().map_or(0, |peer| peer.used()))
    }

    fn tell(&self) {
        if let Some(peer) = &self.peer {
            peer.tell(self.own());
        }
    }

    /// Whether so many bytes more leave `left` of the budget free.
    fn check(&self, bytes: u64, left: u64) -> Result<(), DiskFull> {
        let wanted = self.used().checked_add(bytes).and_then(|wanted| wanted.checked_add(left));
        match wanted {
            Some(wanted) if wanted <= self.limit => Ok(()),
            _ => Err(DiskFull { bytes, limit: self.limit }),
        }
    }
}

impl TaskDisk {
    /// Takes a place for a directory, or an empty one that is there. It has no limit until [`TaskDisk::set_limit`].
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Shared {
            path: path.into(),
            used: AtomicBool::new(false),
            budget: Mutex::new(Budget { limit: u64::MAX, reserved: 0, written: 0, peer: None }),
            released: Notify::new(),
        }))
    }

    /// The directory's path, whether or not it is there.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The directory, made (mode 0700) if it is not there yet. Blocks.
    ///
    /// # Errors
    /// When it can't be made. What holds it is not made with it: that it went is for the node to see.
    pub fn folder(&self) -> io::Result<&Path> {
        if !self.is_used() {
            match DirBuilder::new().mode(0o700).create(&self.0.path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => self.0.used.store(true, Ordering::Release),
            }
        }
        Ok(&self.0.path)
    }

    /// Whether somebody here has had use for the directory: otherwise there is none to remove.
    pub fn is_used(&self) -> bool {
        self.0.used.load(Ordering::Acquire)
    }

    /// Sets the budget in bytes.
    pub fn set_limit(&self, bytes: u64) {
        self.budget().limit = bytes;
    }

    /// Shares the budget with another process: what that one has taken counts as if it were taken here. Two that take
    /// at the same instant may pass the limit together, by what they take then.
    pub fn share_with(&self, peer: Arc<dyn DiskPeer>) {
        self.budget().peer = Some(peer);
    }

    /// Ends what [`TaskDisk::share_with`] began. The other's files are gone, or will be counted here.
    pub fn share_no_more(&self) {
        self.budget().peer = None;
    }

    /// The budget in bytes; `u64::MAX` while none is set.
    pub fn limit(&self) -> u64 {
        self.budget().limit
    }

    /// Reserves room for bytes that are about to be written. Call [`TaskDisk::release`] when they are deleted.
    ///
    /// # Errors
    /// [`DiskFull`] when the budget has less room; nothing is reserved then.
    pub fn reserve(&self, bytes: u64) -> Result<(), DiskFull> {
        self.reserve_leaving(bytes, 0)
    }

    /// As [`TaskDisk::reserve`], if `left` bytes of the budget remain free for others.
    ///
    /// # Errors
    /// [`DiskFull`] when the budget has less room; nothing is reserved then.
    pub fn reserve_leaving(&self, bytes: u64, left: u64) -> Result<(), DiskFull> {
        let mut budget = self.budget();
        budget.check(bytes, left)?;
        budget.reserved += bytes;
        budget.tell();
        Ok(())
    }

    /// Releases room that was reserved, and wakes those who wait on [`TaskDisk::released`].
    pub fn release(&self, bytes: u64) {
        let mut budget = self.budget();
        budget.reserved = budget.reserved.saturating_sub(bytes);
        budget.tell();
        drop(budget);
        self.0.released.notify_waiters();
    }

    /// Waits for the next [`TaskDisk::release`] after this call.
    pub fn released(&self) -> Notified<'_> {
        self.0.released.notified()
    }

    /// Counts bytes that the runner is about to add to its own files. They stay counted until
    /// [`TaskDisk::set_written`] says what is there.
    ///
    /// # Errors
    /// [`DiskFull`] when the budget has less room; nothing is counted then.
    pub fn write(&self, bytes: u64) -> Result<(), DiskFull> {
        let mut budget = self.budget();
        budget.check(bytes, 0)?;
        budget.written += bytes;
        budget.tell();
        Ok(())
    }

    /// Sets how many bytes the runner's own files have, and returns whether the budget is exceeded.
    pub fn set_written(&self, bytes: u64) -> bool {
        let mut budget = self.budget();
        budget.written = bytes;
        budget.tell();
        budget.used() > budget.limit
    }

    /// Bytes reserved and written.
    pub fn used(&self) -> u64 {
        self.budget().used()
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.0.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_made_when_it_is_used_and_what_holds_it_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let disk = TaskDisk::new(dir.path().join("task"));
        assert!(!disk.is_used() && !disk.path().exists());
        assert_eq!(disk.folder().unwrap(), disk.path());
        assert!(disk.clone().folder().is_ok() && disk.is_used() && disk.path().is_dir());
        let nowhere = TaskDisk::new(dir.path().join("gone/task"));
        assert_eq!(nowhere.folder().unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!nowhere.is_used());
    }

    #[test]
    fn all_that_lies_there_shares_one_budget() {
        let disk = TaskDisk::new("/nowhere");
        assert_eq!(disk.reserve(1 << 50), Ok(()), "without a limit there is none");
        disk.release(1 << 50);
        disk.set_limit(100);
        assert_eq!(disk.reserve(60), Ok(()));
        assert_eq!(disk.clone().reserve(60), Err(DiskFull { bytes: 60, limit: 100 }));
        assert_eq!(disk.write(40), Ok(()));
        assert_eq!(disk.reserve(1), Err(DiskFull { bytes: 1, limit: 100 }), "the runner's own bytes count");
        assert_eq!(
            disk.write(1),
            Err(DiskFull { bytes: 1, limit: 100 }),
            "and are refused as reservations are"
        );
        assert_eq!(disk.used(), 100, "what was refused does not count");
        disk.release(10);
        assert!(disk.reserve_leaving(5, 6).is_err());
        assert_eq!(disk.reserve_leaving(5, 5), Ok(()));
        assert_eq!(disk.reserve(5), Ok(()));
        assert!(disk.set_written(41));
        assert_eq!(disk.used(), 101);
        assert_eq!(disk.reserve(u64::MAX), Err(DiskFull { bytes: u64::MAX, limit: 100 }));
    }
}
