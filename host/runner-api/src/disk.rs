//! A task's private directory and how much may lie in it.
//!
//! Three write there: the runner, into its sandbox; the plugin host, which keeps parts of inputs; storage,
//! which keeps artifacts that can't be sent yet. They share one budget, which the runner's host sets, since
//! it knows the runner's limits.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The directory of one task, shared by all that write there.
#[derive(Debug, Clone)]
pub struct TaskDisk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    limit: AtomicU64,
    /// Bytes that were asked for before they were written.
    taken: AtomicU64,
    /// Bytes that the runner wrote, as found by looking.
    found: AtomicU64,
    /// Somebody gave room back.
    freed: Notify,
}

/// More than the budget has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes more in the task's directory would pass its limit of {limit} (scratch_bytes)")]
pub struct DiskFull {
    /// What was asked for.
    pub bytes: u64,
    /// The whole budget.
    pub limit: u64,
}

impl TaskDisk {
    /// A directory that is there (0700) and empty, without a limit until one is set.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Inner {
            path: path.into(),
            limit: AtomicU64::new(u64::MAX),
            taken: AtomicU64::new(0),
            found: AtomicU64::new(0),
            freed: Notify::new(),
        }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Sets the budget, in bytes.
    pub fn set_limit(&self, bytes: u64) {
        self.0.limit.store(bytes, Ordering::Relaxed);
    }

    /// The budget, in bytes.
    pub fn limit(&self) -> u64 {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// Takes room for bytes that are about to be written.
    ///
    /// # Errors
    /// When there is not enough left; nothing is taken then.
    pub fn take(&self, bytes: u64) -> Result<(), DiskFull> {
        self.take_and_leave(bytes, 0)
    }

    /// The same, if it leaves so many bytes to others.
    ///
    /// # Errors
    /// When it doesn't; nothing is taken then.
    pub fn take_and_leave(&self, bytes: u64, left: u64) -> Result<(), DiskFull> {
        let limit = self.limit();
        let room = limit.saturating_sub(left).saturating_sub(self.0.found.load(Ordering::Relaxed));
        let more = |taken: u64| taken.checked_add(bytes).filter(|taken| *taken <= room);
        match self.0.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(_) => Err(DiskFull { bytes, limit }),
        }
    }

    /// Gives room back that was taken: the bytes are gone.
    pub fn give_back(&self, bytes: u64) {
        // Never fails: the function always gives a value.
        let _ = self
            .0
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| Some(taken.saturating_sub(bytes)));
        self.0.freed.notify_waiters();
    }

    /// Waits until room is given back after this was called.
    pub fn freed(&self) -> Notified<'_> {
        self.0.freed.notified()
    }

    /// Says what the runner has written by itself; whether that is too much.
    pub fn found(&self, bytes: u64) -> bool {
        self.0.found.store(bytes, Ordering::Relaxed);
        self.used() > self.limit()
    }

    /// Bytes taken and found.
    pub fn used(&self) -> u64 {
        self.0.taken.load(Ordering::Relaxed).saturating_add(self.0.found.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_lies_there_shares_one_budget() {
        let disk = TaskDisk::new("/nowhere");
        assert_eq!(disk.take(1 << 50), Ok(()), "without a limit there is none");
        disk.give_back(1 << 50);
        disk.set_limit(100);
        assert_eq!(disk.take(60), Ok(()));
        assert_eq!(disk.clone().take(60), Err(DiskFull { bytes: 60, limit: 100 }));
        assert!(!disk.found(40));
        assert_eq!(disk.take(1), Err(DiskFull { bytes: 1, limit: 100 }), "what was found counts");
        disk.give_back(10);
        assert!(disk.take_and_leave(5, 6).is_err());
        assert_eq!(disk.take_and_leave(5, 5), Ok(()));
        assert_eq!(disk.take(5), Ok(()));
        assert!(disk.found(41));
        assert_eq!(disk.used(), 101);
        assert_eq!(disk.take(u64::MAX), Err(DiskFull { bytes: u64::MAX, limit: 100 }));
    }
}
