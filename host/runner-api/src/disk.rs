//! A task's private directory and its budget of bytes.
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

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The directory of one task. Clones share the directory and its budget.
#[derive(Debug, Clone)]
pub struct TaskDisk(Arc<DiskBudget>);

#[derive(Debug)]
struct DiskBudget {
    path: PathBuf,
    limit: AtomicU64,
    /// Bytes that the node reserved before it wrote them.
    reserved: AtomicU64,
    /// Bytes that the runner wrote, as last measured. They can't be reserved: the runner's own files are written
    /// by WASI.
    measured: AtomicU64,
    released: Notify,
}

/// A reservation that the budget has no room for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes more in the task's directory would pass its limit of {limit} (scratch_bytes)")]
pub struct DiskFull {
    /// Bytes that were to be reserved.
    pub bytes: u64,
    /// The whole budget in bytes.
    pub limit: u64,
}

impl TaskDisk {
    /// Takes an existing, empty directory (mode 0700). It has no limit until [`TaskDisk::set_limit`].
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(DiskBudget {
            path: path.into(),
            limit: AtomicU64::new(u64::MAX),
            reserved: AtomicU64::new(0),
            measured: AtomicU64::new(0),
            released: Notify::new(),
        }))
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Sets the budget in bytes.
    pub fn set_limit(&self, bytes: u64) {
        self.0.limit.store(bytes, Ordering::Relaxed);
    }

    /// The budget in bytes; `u64::MAX` while none is set.
    pub fn limit(&self) -> u64 {
        self.0.limit.load(Ordering::Relaxed)
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
        let limit = self.limit();
        let room = limit.saturating_sub(left).saturating_sub(self.0.measured.load(Ordering::Relaxed));
        let grown = |reserved: u64| reserved.checked_add(bytes).filter(|reserved| *reserved <= room);
        match self.0.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown) {
            Ok(_) => Ok(()),
            Err(_) => Err(DiskFull { bytes, limit }),
        }
    }

    /// Releases room that was reserved, and wakes those who wait on [`TaskDisk::released`].
    pub fn release(&self, bytes: u64) {
        let shrunk = |reserved: u64| Some(reserved.saturating_sub(bytes));
        // Can't fail: the function always returns a value.
        let _ = self.0.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, shrunk);
        self.0.released.notify_waiters();
    }

    /// Waits for the next [`TaskDisk::release`] after this call.
    pub fn released(&self) -> Notified<'_> {
        self.0.released.notified()
    }

    /// Records how many bytes the runner's own files have, and returns whether the budget is exceeded.
    pub fn record_measured(&self, bytes: u64) -> bool {
        self.0.measured.store(bytes, Ordering::Relaxed);
        self.used() > self.limit()
    }

    /// Bytes reserved and measured.
    pub fn used(&self) -> u64 {
        self.0.reserved.load(Ordering::Relaxed).saturating_add(self.0.measured.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_lies_there_shares_one_budget() {
        let disk = TaskDisk::new("/nowhere");
        assert_eq!(disk.reserve(1 << 50), Ok(()), "without a limit there is none");
        disk.release(1 << 50);
        disk.set_limit(100);
        assert_eq!(disk.reserve(60), Ok(()));
        assert_eq!(disk.clone().reserve(60), Err(DiskFull { bytes: 60, limit: 100 }));
        assert!(!disk.record_measured(40));
        assert_eq!(disk.reserve(1), Err(DiskFull { bytes: 1, limit: 100 }), "measured bytes count");
        disk.release(10);
        assert!(disk.reserve_leaving(5, 6).is_err());
        assert_eq!(disk.reserve_leaving(5, 5), Ok(()));
        assert_eq!(disk.reserve(5), Ok(()));
        assert!(disk.record_measured(41));
        assert_eq!(disk.used(), 101);
        assert_eq!(disk.reserve(u64::MAX), Err(DiskFull { bytes: u64::MAX, limit: 100 }));
    }
}
