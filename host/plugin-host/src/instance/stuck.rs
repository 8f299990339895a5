//! How many threads are held by runners that can't be ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the stuck threads of one engine. Cloning shares.
#[derive(Debug, Clone, Default)]
pub(crate) struct StuckThreads(Arc<AtomicUsize>);

impl StuckThreads {
    /// The threads that are held now. The number falls when a thread ends after all.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts a thread until the returned guard is dropped.
    pub(crate) fn hold(&self) -> StuckGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        StuckGuard(self.clone())
    }
}

/// Stands for one stuck thread.
pub(crate) struct StuckGuard(StuckThreads);

impl Drop for StuckGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
