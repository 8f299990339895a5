//! What is free where the node keeps things. A file system that hangs holds up one look, and no other request.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

/// How long the file systems have to answer.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);
/// How many files of the cache are looked at.
const MAX_FILES: usize = 10_000;

/// The folders that are looked at. Cloning shares.
#[derive(Debug, Clone)]
pub(crate) struct WatchedFolders {
    work: PathBuf,
    cache: PathBuf,
    /// A look that has not come back yet.
    looking: Arc<Mutex<Option<JoinHandle<FoldersView>>>>,
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
        Self { work, cache, looking: Arc::default() }
    }

    /// What they are like now; none if a file system does not answer.
    pub(super) async fn look(&self) -> Option<FoldersView> {
        // One at a time: each that hangs keeps a thread.
        let mut looking = timeout(LOOK_TIMEOUT, self.looking.lock()).await.ok()?;
        let look = looking.get_or_insert_with(|| {
            let (work, cache) = (self.work.clone(), self.cache.clone());
            spawn_blocking(move || FoldersView::of(&work, &cache))
        });
        let look = timeout(LOOK_TIMEOUT, look).await.ok()?;
        *looking = None;
        look.ok()
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
    use super::*;

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
