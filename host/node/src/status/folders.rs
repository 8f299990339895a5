//! What is free where the node keeps things. A file system that hangs holds up one look, and no other request.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

/// How long the file systems have to answer.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an answer is good: of those who look at the same time one asks.
const FRESH: Duration = Duration::from_secs(1);
/// How many files of the cache are looked at.
const MAX_FILES: usize = 10_000;

/// The folders that are looked at. Cloning shares.
#[derive(Clone)]
pub(crate) struct WatchedFolders {
    look_at: Arc<dyn Fn() -> FoldersView + Send + Sync>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// A look that has not come back yet, and when it began.
    looking: Option<(Instant, JoinHandle<FoldersView>)>,
    /// What was seen last.
    seen: Option<(Instant, FoldersView)>,
}

/// The folders at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct FoldersView {
    /// Free bytes, and inodes if the file system counts them, by the folder's word.
    pub(super) free: Vec<(&'static str, u64, Option<u64>)>,
    /// Files in the cache and their bytes.
    pub(super) cache: (u64, u64),
}

impl WatchedFolders {
    /// Nothing is looked at yet.
    pub(crate) fn new(work: PathBuf, cache: PathBuf) -> Self {
        Self::looked_at_by(move || FoldersView::of(&work, &cache))
    }

    /// `look_at` blocks.
    pub(super) fn looked_at_by(look_at: impl Fn() -> FoldersView + Send + Sync + 'static) -> Self {
        Self { look_at: Arc::new(look_at), state: Arc::default() }
    }

    /// What they are like now, or were a second ago at most; none if a file system does not answer.
    pub(super) async fn look(&self) -> Option<FoldersView> {
        // One at a time: each that hangs keeps a thread.
        let mut state = self.state.lock().await;
        let state = &mut *state;
        if let Some((at, seen)) = &state.seen
            && at.elapsed() < FRESH
        {
            return Some(seen.clone());
        }
        let (began, look) = state.looking.get_or_insert_with(|| {
            let look_at = self.look_at.clone();
            (Instant::now(), spawn_blocking(move || look_at()))
        });
        // Counted from its beginning: of one that hangs only the first who asks waits for an answer.
        let looked = timeout_at(*began + LOOK_TIMEOUT, look).await.ok()?;
        state.looking = None;
        let seen = looked.ok()?;
        state.seen = Some((Instant::now(), seen.clone()));
        Some(seen)
    }
}

impl FoldersView {
    fn of(work: &Path, cache: &Path) -> Self {
        let free = [("work", work), ("cache", cache)].into_iter().filter_map(|(word, path)| {
            let stat = rustix::fs::statvfs(path).ok()?;
            let inodes = (stat.f_files > 0).then_some(stat.f_favail);
            Some((word, stat.f_bavail.saturating_mul(stat.f_frsize), inodes))
        });
        Self { free: free.collect(), cache: files(cache) }
    }
}

/// The number of files in a folder, and their bytes.
fn files(folder: &Path) -> (u64, u64) {
    let Ok(entries) = fs::read_dir(folder) else { return (0, 0) };
    let sizes = entries.flatten().take(MAX_FILES).filter_map(|entry| {
        let data = entry.metadata().ok()?;
        data.is_file().then_some(data.len())
    });
    sizes.fold((0, 0), |(files, bytes), size| (files + 1, bytes + size))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_file_system_that_hangs_keeps_one_thread_however_many_look() {
        let (go_on, held) = std::sync::mpsc::channel::<()>();
        let (held, looks) = (std::sync::Mutex::new(held), Arc::new(AtomicUsize::new(0)));
        let counted = looks.clone();
        let folders = WatchedFolders::looked_at_by(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = held.lock().unwrap().recv();
            FoldersView { cache: (7, 7), ..FoldersView::default() }
        });
        let many: Vec<_> = (0..16)
            .map(|_| {
                tokio::spawn({
                    let folders = folders.clone();
                    async move { folders.look().await }
                })
            })
            .collect();
        for look in many {
            assert!(look.await.unwrap().is_none());
        }
        let asked = Instant::now();
        assert!(folders.look().await.is_none());
        assert!(asked.elapsed() < LOOK_TIMEOUT, "nobody waits for it once more");
        assert_eq!(looks.load(Ordering::Relaxed), 1);
        drop(go_on);
        while folders.look().await.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(looks.load(Ordering::Relaxed), 1, "it came back");
        assert_eq!(folders.look().await.unwrap().cache, (7, 7), "and is fresh");
        assert_eq!(looks.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn free_space_and_the_files_of_the_cache_are_told() {
        let (work, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(cache.path().join("a.cwasm"), [0; 100]).unwrap();
        fs::create_dir(cache.path().join("b")).unwrap();
        let view = WatchedFolders::new(work.path().into(), cache.path().into()).look().await.unwrap();
        assert_eq!(view.cache, (1, 100));
        let words: Vec<&str> = view.free.iter().map(|(word, ..)| *word).collect();
        assert_eq!(words, ["work", "cache"]);
        assert!(view.free.iter().all(|(_, bytes, _)| *bytes > 0), "{view:?}");
        // A folder that went is left out, and nothing else is.
        let gone = WatchedFolders::new(work.path().join("gone"), cache.path().into()).look().await.unwrap();
        assert_eq!((gone.free.len(), gone.cache), (1, (1, 100)));
    }
}
