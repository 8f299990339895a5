//! The log files of tasks. They go some at a time, and not by whoever works on leases: most runners print nothing, and to
//! look for a file that is not there takes longer than a step of a short task.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{read_dir, remove_file};
use std::path::PathBuf;

use posemesh_runner_api::beside::begin;
use uuid::Uuid;

/// How many records are forgotten before their files go.
const AT_ONCE: usize = 32;

/// The folder of log files.
#[derive(Debug)]
pub(super) struct TaskLogs {
    dir: PathBuf,
    forgotten: Vec<PathBuf>,
}

impl TaskLogs {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, forgotten: Vec::new() }
    }

    /// Where the log of a task is kept, if its runner prints anything. The number keeps logs apart: a task can be leased more
    /// than once.
    pub(super) fn file_of(&self, task: Uuid, number: u64) -> PathBuf {
        self.dir.join(format!("{task}-{number}.log"))
    }

    /// Forgets a log; returns those that are to be removed now.
    pub(super) fn forget(&mut self, file: PathBuf) -> Option<ForgottenLogs> {
        self.forgotten.push(file);
        (self.forgotten.len() >= AT_ONCE)
            .then(|| ForgottenLogs { dir: self.dir.clone(), files: std::mem::take(&mut self.forgotten) })
    }
}

/// Logs that nobody reads any more.
#[derive(Debug)]
#[must_use = "they are there until they are removed"]
pub(super) struct ForgottenLogs {
    dir: PathBuf,
    files: Vec<PathBuf>,
}

impl ForgottenLogs {
    /// Removes them, on a thread that may wait for the disk.
    pub(super) fn remove(self) {
        drop(begin(|| self.remove_here()));
    }

    fn remove_here(self) {
        let there: HashSet<OsString> =
            read_dir(&self.dir).into_iter().flatten().flatten().map(|file| file.file_name()).collect();
        for file in self.files {
            if file.file_name().is_some_and(|name| there.contains(name)) {
                // What can't be removed goes with the folder, at the node's end.
                let _ = remove_file(file);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn logs_go_when_enough_of_them_are_forgotten_and_those_that_are_read_stay() {
        let dir = tempfile::tempdir().unwrap();
        let mut logs = TaskLogs::new(dir.path().to_owned());
        let kept = logs.file_of(Uuid::nil(), 0);
        std::fs::write(&kept, "read").unwrap();
        let mut removed = 0;
        for number in 1..=2 * AT_ONCE as u64 + 1 {
            let file = logs.file_of(Uuid::nil(), number);
            // Every third runner printed something.
            if number.is_multiple_of(3) {
                std::fs::write(&file, "line").unwrap();
            }
            if let Some(forgotten) = logs.forget(file) {
                forgotten.remove_here();
                removed += 1;
            }
        }
        let left: Vec<_> = read_dir(dir.path()).unwrap().flatten().map(|file| file.path()).collect();
        assert_eq!((removed, left), (2, vec![kept]), "the last is one of the next that go");
    }
}
