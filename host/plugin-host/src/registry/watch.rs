//! The system's notifications that something in a directory has changed.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use posemesh_files::watcher;
use tokio::sync::Notify;

/// A watch on the directory. Where the system can't give one, the clock has to do.
pub(crate) struct DirectoryWatch {
    dir: PathBuf,
    rescan_interval: Duration,
    /// The watch, and the number of the directory that it is on.
    watcher: Option<(RecommendedWatcher, u64)>,
    changed: Arc<Notify>,
    failed: bool,
}

impl DirectoryWatch {
    /// `rescan_interval` is what is left where the system can't notify; it is only logged.
    pub(crate) fn new(dir: PathBuf, rescan_interval: Duration) -> Self {
        Self { dir, rescan_interval, watcher: None, changed: Arc::default(), failed: false }
    }

    /// Waits for the next change; one that came since the last call counts.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Watches the directory that is there now: another may have been put in its place.
    pub(crate) async fn renew(&mut self) {
        self.renew_with(start).await;
    }

    async fn renew_with(
        &mut self,
        start: impl FnOnce(&Path, Arc<Notify>) -> notify::Result<RecommendedWatcher> + Send + 'static,
    ) {
        let number = tokio::fs::metadata(&self.dir).await.map(|dir| dir.ino()).ok();
        if number == self.watcher.as_ref().map(|(_, number)| *number) {
            return;
        }
        // inotify watches an inode, not a path: a watch on a directory that was replaced would stay silent.
        self.watcher = None;
        let Some(number) = number else { return };
        let (dir, changed) = (self.dir.clone(), self.changed.clone());
        let started = tokio::task::spawn_blocking(move || start(&dir, changed)).await;
        match started.map_err(io::Error::other).and_then(|watcher| watcher.map_err(io::Error::other)) {
            Ok(watcher) => {
                self.watcher = Some((watcher, number));
                // What changed before the watch began is looked for now.
                self.changed.notify_one();
            }
            // Warned of once: it is tried again at each renewal and would fill the log.
            Err(error) if !self.failed => {
                self.failed = true;
                let every = self.rescan_interval;
                tracing::warn!(dir = %self.dir.display(), %error, every_ms = every.as_millis() as u64, "PLUGINS_DIR can't be watched; it is looked at again and again");
            }
            Err(_) => {}
        }
    }
}

fn start(dir: &Path, changed: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = watcher(move || changed.notify_one())?;
    // Runners lie directly in the directory; folders below it are never scanned.
    watcher.watch(dir, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watch_that_can_not_be_had_is_no_matter() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = DirectoryWatch::new(dir.path().to_owned(), Duration::from_secs(5));
        watch.renew_with(|_, _| Err(notify::Error::generic("no thread"))).await;
        assert!(watch.watcher.is_none() && watch.failed, "it is told once");
        watch.renew_with(|_, _| Err(notify::Error::generic("no thread"))).await;
        // The next renewal gets one: what changed before is looked for.
        watch.renew().await;
        assert!(watch.watcher.is_some());
        tokio::time::timeout(Duration::from_secs(60), watch.changed()).await.unwrap();
    }
}
