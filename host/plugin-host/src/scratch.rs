//! The sandbox directory of one task, and what may be in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::limits::{LimitReached, Limits};
use posemesh_runner_api::disk::TaskDisk;

/// The folders of one task on the host. The runner sees the first two.
#[derive(Debug, Clone)]
pub struct SandboxDirs {
    /// `/work`, read and write.
    pub work: PathBuf,
    /// `/work/inputs`, read only.
    pub inputs: PathBuf,
    /// Parts that are kept but were not materialised.
    pub spool: PathBuf,
}

/// The scratch budget: all that lies in the task's directory, and how many files of it are the runner's.
#[derive(Debug)]
pub struct Scratch {
    disk: TaskDisk,
    files: u64,
    /// Which of the two was found exceeded.
    too_many_bytes: AtomicBool,
    too_many_files: AtomicBool,
}

/// What is in a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    /// Bytes of all files.
    pub bytes: u64,
    /// Files, folders and links.
    pub files: u64,
}

impl Scratch {
    /// Limits what may lie in an empty directory.
    pub fn new(disk: TaskDisk, limits: &Limits) -> Self {
        disk.set_limit(limits.scratch_bytes);
        Self {
            disk,
            files: limits.scratch_files,
            too_many_bytes: AtomicBool::new(false),
            too_many_files: AtomicBool::new(false),
        }
    }

    /// Takes room for bytes of an input.
    ///
    /// # Errors
    /// When the budget is used up.
    pub fn take(&self, bytes: u64) -> Result<(), LimitReached> {
        self.disk.take(bytes).map_err(|_| self.bytes_reached())
    }

    /// Gives room back that was taken.
    pub fn give_back(&self, bytes: u64) {
        self.disk.give_back(bytes);
    }

    /// Bytes taken and written so far.
    pub fn used(&self) -> u64 {
        self.disk.used()
    }

    /// Says what the runner has written; the limit that this passes, if it does.
    pub fn written(&self, found: Measured) -> Option<LimitReached> {
        if self.disk.found(found.bytes) {
            self.too_many_bytes.store(true, Ordering::Relaxed);
        }
        // A folder that is always there does not count.
        if found.files.saturating_sub(1) > self.files {
            self.too_many_files.store(true, Ordering::Relaxed);
        }
        self.reached()
    }

    /// The limit that the runner has passed, if it has.
    pub fn reached(&self) -> Option<LimitReached> {
        if self.too_many_bytes.load(Ordering::Relaxed) {
            Some(self.bytes_reached())
        } else if self.too_many_files.load(Ordering::Relaxed) {
            Some(LimitReached { name: "scratch_files", value: self.files })
        } else {
            None
        }
    }

    fn bytes_reached(&self) -> LimitReached {
        LimitReached { name: "scratch_bytes", value: self.disk.limit() }
    }

    /// What one look at a folder should stop counting at: more is too much anyway.
    pub fn most_files(&self) -> u64 {
        self.files.saturating_add(2)
    }
}

/// Measures a folder; links are not followed, what can't be read counts nothing, and counting stops after
/// `most_files`.
pub async fn measure(dir: Arc<Path>, most_files: u64) -> Measured {
    let walk = move || {
        let mut found = Measured::default();
        let mut folders = vec![dir.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                found.files += 1;
                if found.files > most_files {
                    return found;
                }
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
        let scratch = Scratch::new(TaskDisk::new(""), &limits(100, 10));
        scratch.take(60).unwrap();
        assert_eq!(scratch.take(60).unwrap_err().name, "scratch_bytes");
        assert_eq!(scratch.written(Measured { bytes: 40, files: 1 }), None);
        assert_eq!(scratch.take(1).unwrap_err().name, "scratch_bytes");
        assert_eq!(scratch.written(Measured { bytes: 41, files: 1 }).unwrap().name, "scratch_bytes");
        assert!(scratch.reached().is_some(), "once too much is too much");
    }

    #[tokio::test]
    async fn files_are_counted_and_counting_ends() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..20 {
            std::fs::write(dir.path().join(n.to_string()), "four").unwrap();
        }
        std::os::unix::fs::symlink("/", dir.path().join("link")).unwrap();
        let all = measure(dir.path().into(), 100).await;
        assert_eq!(all.files, 21, "a link counts, what it leads to does not");
        let scratch = Scratch::new(TaskDisk::new(dir.path()), &limits(1 << 20, 5));
        let some = measure(dir.path().into(), scratch.most_files()).await;
        assert!(some.files < 21);
        assert_eq!(scratch.written(some).unwrap().name, "scratch_files");
    }
}
