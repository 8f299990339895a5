//! Waits until the sources of a project have changed and are at rest again.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use posemesh_files::watcher;
use posemesh_text::escaped;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::sources::{Counts, Snapshot, Sources};
use crate::output::tell;

/// How long nothing must happen before the sources are looked at: editors save by several steps. Short, since somebody waits;
/// a step that comes later ends the round that has begun.
const QUIET: Duration = Duration::from_millis(20);
/// They are looked at after this time even if something goes on happening.
const LONGEST_UNREST: Duration = Duration::from_secs(1);
/// How often they are looked at when nothing is heard: the system's notifications can get lost, and some file systems have
/// none.
const RESCAN_INTERVAL: Duration = Duration::from_secs(2);

/// The watch on the folders of a project.
pub(super) struct Changes {
    sources: Arc<Mutex<Sources>>,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    changed: Arc<Notify>,
}

impl Changes {
    /// Watches nothing yet; the first look begins that.
    pub(super) fn new(sources: Sources) -> Self {
        let changed = Arc::new(Notify::new());
        let told = changed.clone();
        let watcher = watcher(move || told.notify_one());
        if let Err(error) = &watcher {
            tell!(
                "warning: changes can't be watched ({}); files are looked at every {} s",
                escaped(&error.to_string()),
                RESCAN_INTERVAL.as_secs()
            );
        }
        let sources = Arc::new(Mutex::new(sources));
        Self { sources, watcher: watcher.ok(), watched: BTreeSet::new(), changed }
    }

    /// The sources as they are now; folders that are new are watched from now on.
    ///
    /// # Errors
    /// When they can't be looked at.
    pub(super) async fn look(&mut self) -> io::Result<Snapshot> {
        let mut snapshot = self.look_once().await?;
        // What came into a new folder before it was watched is seen by another look.
        while self.watch(&snapshot) {
            snapshot = self.look_once().await?;
        }
        Ok(snapshot)
    }

    /// Waits until the sources differ from `before` and are at rest; the sources then, and when the first of what has changed
    /// was noticed. Nothing is missed when the future is dropped.
    ///
    /// # Errors
    /// When they can't be looked at.
    pub(super) async fn since(
        &mut self,
        before: &Snapshot,
        counts: Counts,
    ) -> io::Result<(Snapshot, Instant)> {
        loop {
            // First of all, for what happened while nobody waited here.
            let began = Instant::now();
            if !before.differences(&self.look().await?, counts).is_empty() {
                self.rest().await;
                let now = self.look().await?;
                if !before.differences(&now, counts).is_empty() {
                    return Ok((now, began));
                }
            }
            // Heard or not, the next look tells.
            let _ = timeout(RESCAN_INTERVAL, self.changed.notified()).await;
        }
    }

    /// Watches these files too, which the build has read outside of the project, from now on and in place of those before;
    /// each of `snapshots` gets them as they are, but for those that were changed after `began`, when the build began: they are
    /// changes.
    ///
    /// # Errors
    /// When the sources can't be looked at.
    pub(super) async fn watch_outside(
        &mut self,
        files: BTreeSet<PathBuf>,
        began: SystemTime,
        snapshots: &mut [&mut Snapshot],
    ) -> io::Result<()> {
        let mut outside = self.sources.lock().unwrap_or_else(PoisonError::into_inner).set_outside(files);
        if outside.is_as_before() {
            return Ok(());
        }
        // What is changed after the look differs from it.
        let seen = self.look().await?;
        let leave_out = move || {
            outside.leave_out_changed(began);
            outside
        };
        let outside = spawn_blocking(leave_out).await.map_err(io::Error::other)?;
        for snapshot in snapshots {
            snapshot.take_outside(&outside, &seen);
        }
        Ok(())
    }

    /// Waits until nothing has happened for a moment.
    async fn rest(&self) {
        let until = Instant::now() + LONGEST_UNREST;
        while Instant::now() < until && timeout(QUIET, self.changed.notified()).await.is_ok() {}
    }

    async fn look_once(&self) -> io::Result<Snapshot> {
        let sources = self.sources.clone();
        let look = move || sources.lock().unwrap_or_else(PoisonError::into_inner).look();
        spawn_blocking(look).await.map_err(io::Error::other)?
    }

    /// Watches the folders of a snapshot, and those alone. Whether one is new.
    fn watch(&mut self, snapshot: &Snapshot) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        for gone in self.watched.difference(&snapshot.folders) {
            // The system has ended that by itself if the folder is gone.
            let _ = watcher.unwatch(gone);
        }
        let mut is_new = false;
        for folder in snapshot.folders.difference(&self.watched) {
            // What can't be watched is looked at now and then all the same.
            is_new |= watcher.watch(folder, RecursiveMode::NonRecursive).is_ok();
        }
        self.watched.clone_from(&snapshot.folders);
        is_new
    }
}
