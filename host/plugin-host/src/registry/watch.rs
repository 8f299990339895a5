//! What makes the registry look at its directory: the system's word that something changed, SIGHUP, and
//! the clock, since the system's word can get lost.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Registry;
use super::scan::Scan;

/// How often the directory is looked at when nothing is heard of it.
const RESCAN_INTERVAL: Duration = Duration::from_secs(5);
/// How long a file must stay the same before it is loaded.
const SETTLE: Duration = Duration::from_millis(200);

impl Registry {
    /// Keeps the runners in step with the directory until it is told to stop. SIGHUP makes it look at
    /// once.
    pub async fn watch(&self, stop: CancellationToken) {
        let dir = self.settings.plugins_dir.clone();
        let mut watched = Watched::new(dir.clone());
        let mut hangup = signal(SignalKind::hangup())
            .inspect_err(|error| tracing::warn!(%error, "SIGHUP can't be listened to"))
            .ok();
        // Said once, not at every look.
        let mut unreadable = false;
        loop {
            watched.renew().await;
            let pending = self.scanning.lock().await.has_pending();
            let mut next = pin!(sleep(if pending { SETTLE } else { RESCAN_INTERVAL }));
            // A busy node lets go of generations all the time: that comes last and restarts no wait.
            let how = loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    Some(()) = async { hangup.as_mut()?.recv().await } => {
                        tracing::info!("SIGHUP: looking for runners");
                        break Scan::Now;
                    }
                    () = watched.changed.notified(), if !pending => break Scan::Careful,
                    () = &mut next => break Scan::Careful,
                    () = self.task_changed.notified() => self.settle(),
                }
            };
            let scanned = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                scanned = self.scan(how) => scanned,
            };
            match scanned {
                Ok(()) => unreadable = false,
                Err(error) if !unreadable => {
                    unreadable = true;
                    tracing::warn!(dir = %dir.display(), %error, "PLUGINS_DIR can't be read; what is live stays");
                }
                Err(_) => {}
            }
        }
    }
}

/// A watch on the directory. Where the system can't give one, the clock has to do.
struct Watched {
    dir: PathBuf,
    /// The watch, and the number of the directory that it is on.
    watcher: Option<(RecommendedWatcher, u64)>,
    changed: Arc<Notify>,
    failed: bool,
}

impl Watched {
    fn new(dir: PathBuf) -> Self {
        Self { dir, watcher: None, changed: Arc::default(), failed: false }
    }

    /// Watches the directory that is there now: another may have been put in its place.
    async fn renew(&mut self) {
        let number = tokio::fs::metadata(&self.dir).await.map(|dir| dir.ino()).ok();
        if number == self.watcher.as_ref().map(|(_, number)| *number) {
            return;
        }
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
            Err(error) if !self.failed => {
                self.failed = true;
                let every = RESCAN_INTERVAL;
                tracing::warn!(dir = %self.dir.display(), %error, ?every, "PLUGINS_DIR can't be watched; it is looked at again and again");
            }
            Err(_) => {}
        }
    }
}

fn start(dir: &std::path::Path, changed: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file is an event as well, and we read them.
        let is_change = match event.as_ref().map(|event| event.kind) {
            Ok(EventKind::Access(AccessKind::Close(AccessMode::Write))) => true,
            Ok(EventKind::Access(_)) => false,
            Ok(_) | Err(_) => true,
        };
        if is_change {
            changed.notify_one();
        }
    })?;
    watcher.watch(dir, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}
