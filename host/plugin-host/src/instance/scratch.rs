//! The sandbox directory of one task, and what may be in it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::ports::PortError;

use crate::manifest::limits::{Limit, LimitReached, Limits};

/// The folders of one task on the host. The runner sees the first two.
#[derive(Debug, Clone)]
pub(crate) struct SandboxDirs {
    /// `/work`, read and write.
    pub(crate) work: PathBuf,
    /// `/work/inputs`, read only.
    pub(crate) inputs: PathBuf,
    /// Parts that are kept but were not materialised.
    pub(crate) spool: PathBuf,
}

/// A task's folders and their budget: the bytes of all that lies in the task's directory, and how many files of
/// it are the runner's.
#[derive(Debug)]
pub(crate) struct Scratch {
    disk: TaskDisk,
    /// None in `describe`, which has no directory.
    dirs: Option<SandboxDirs>,
    files: u64,
    /// Which of the two limits was found exceeded. A limit that was passed stays passed: the runner could remove
    /// its files again before the next epoch tick asks.
    too_many_bytes: AtomicBool,
    too_many_files: AtomicBool,
}

/// What is in a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FolderSize {
    /// Bytes of all files.
    pub(crate) bytes: u64,
    /// Files, folders and links.
    pub(crate) files: u64,
}

impl Scratch {
    /// Limits what may lie in an empty directory.
    pub(crate) fn new(disk: TaskDisk, dirs: Option<SandboxDirs>, limits: &Limits) -> Self {
        // The disk is shared with what the node writes for the task, so the limit lives there.
        disk.set_limit(limits.scratch_bytes);
        Self {
            disk,
            dirs,
            files: limits.scratch_files,
            too_many_bytes: AtomicBool::new(false),
            too_many_files: AtomicBool::new(false),
        }
    }

    /// The folders.
    ///
    /// # Errors
    /// When there are none: the guest gets this error.
    pub(crate) fn dirs(&self) -> Result<&SandboxDirs, PortError> {
        self.dirs.as_ref().ok_or_else(|| PortError::denied("there is no sandbox directory here"))
    }

    /// The budget, in bytes.
    pub(crate) fn limit(&self) -> u64 {
        self.disk.limit()
    }

    /// Reserves room for bytes of an input.
    ///
    /// # Errors
    /// When the budget is used up.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<(), LimitReached> {
        self.disk.reserve(bytes).map_err(|_| self.bytes_reached())
    }

    /// Releases room that was reserved.
    pub(crate) fn release(&self, bytes: u64) {
        self.disk.release(bytes);
    }

    /// Bytes reserved and written so far.
    pub(crate) fn used(&self) -> u64 {
        self.disk.used()
    }

    /// Notes what the runner has written; the limit that this passes, if it does.
    pub(crate) fn written(&self, found: FolderSize) -> Option<LimitReached> {
        if self.disk.record_measured(found.bytes) {
            self.too_many_bytes.store(true, Ordering::Relaxed);
        }
        // A folder that is always there does not count.
        if found.files.saturating_sub(1) > self.files {
            self.too_many_files.store(true, Ordering::Relaxed);
        }
        self.reached()
    }

    /// The limit that the runner has passed, if it has.
    pub(crate) fn reached(&self) -> Option<LimitReached> {
        if self.too_many_bytes.load(Ordering::Relaxed) {
            Some(self.bytes_reached())
        } else if self.too_many_files.load(Ordering::Relaxed) {
            Some(LimitReached { limit: Limit::ScratchFiles, value: self.files })
        } else {
            None
        }
    }

    fn bytes_reached(&self) -> LimitReached {
        LimitReached { limit: Limit::ScratchBytes, value: self.disk.limit() }
    }

    /// Where counting a folder's files should stop: more is too much anyway.
    pub(crate) fn most_files(&self) -> u64 {
        self.files.saturating_add(2)
    }
}

/// Measures a folder; links are not followed, what can't be read counts nothing, and counting stops after
/// `most_files`.
pub(crate) async fn measure(dir: &Path, most_files: u64) -> FolderSize {
    let dir = dir.to_owned();
    let walk = move || {
        let mut found = FolderSize::default();
        let mut folders = vec![dir];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                // Counted before its metadata is read, so that a file which is removed at once counts too.
                found.files += 1;
                if found.files > most_files {
                    return found;
                }
                // The runner may remove a file between the listing and this look at it.
                let Ok(entry_data) = entry.metadata() else { continue };
                if entry_data.is_dir() {
                    folders.push(entry.path());
                } else {
                    found.bytes = found.bytes.saturating_add(entry_data.len());
                }
            }
        }
        found
    };
    tokio::task::spawn_blocking(walk).await.unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn limits(scratch_bytes: u64, scratch_files: u64) -> Limits {
        Limits { scratch_bytes, scratch_files, ..Limits::default() }
    }

    #[test]
    fn inputs_and_what_the_runner_wrote_share_one_budget() {
        let scratch = Scratch::new(TaskDisk::new(""), None, &limits(100, 10));
        scratch.reserve(60).unwrap();
        assert_eq!(scratch.reserve(60).unwrap_err().limit, Limit::ScratchBytes);
        assert_eq!(scratch.written(FolderSize { bytes: 40, files: 1 }), None);
        assert_eq!(scratch.reserve(1).unwrap_err().limit, Limit::ScratchBytes);
        assert_eq!(scratch.written(FolderSize { bytes: 41, files: 1 }).unwrap().limit, Limit::ScratchBytes);
        assert!(scratch.reached().is_some(), "once too much is too much");
    }

    #[tokio::test]
    async fn files_are_counted_and_counting_ends() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..20 {
            std::fs::write(dir.path().join(n.to_string()), "four").unwrap();
        }
        std::os::unix::fs::symlink("/", dir.path().join("link")).unwrap();
        let all = measure(dir.path(), 100).await;
        assert_eq!(all.files, 21, "a link counts, what it leads to does not");
        let scratch = Scratch::new(TaskDisk::new(dir.path()), None, &limits(1 << 20, 5));
        let some = measure(dir.path(), scratch.most_files()).await;
        assert!(some.files < 21);
        assert_eq!(scratch.written(some).unwrap().limit, Limit::ScratchFiles);
    }
}
