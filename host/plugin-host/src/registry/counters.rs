//! What has become of the tasks of one generation.

use std::sync::atomic::{AtomicU64, Ordering};

use posemesh_runner_api::failure::{FailureKind, RunFailure};
use serde::{Deserialize, Serialize};

/// Counts the runs of one generation, over all tasks that hold it.
#[derive(Debug, Default)]
pub(crate) struct RunCounters {
    running: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
    other: AtomicU64,
}

/// The counts at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCounts {
    /// Runs that go on.
    pub running: u64,
    /// Runs that ended well.
    pub completed: u64,
    /// Runs that failed in a way that speaks against the runner: it returned an error of its own,
    /// trapped, called `exit`, reached a limit or its deadline, or could not be ended.
    pub failed: u64,
    /// Runs that ended otherwise: the task or an input was wrong, a port failed, it was cancelled.
    pub other: u64,
}

impl RunCounts {
    /// The runs that say something about the runner.
    pub fn judged(&self) -> u64 {
        self.completed + self.failed
    }
}

/// A run that goes on.
pub(crate) struct RunInProgress<'a>(&'a RunCounters);

impl RunCounters {
    /// Counts a run until what is returned is dropped.
    pub(crate) fn start(&self) -> RunInProgress<'_> {
        self.running.fetch_add(1, Ordering::Relaxed);
        RunInProgress(self)
    }

    /// The counts of now.
    pub(crate) fn counts(&self) -> RunCounts {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        RunCounts {
            running: get(&self.running),
            completed: get(&self.completed),
            failed: get(&self.failed),
            other: get(&self.other),
        }
    }
}

impl RunInProgress<'_> {
    /// Counts how the run ended.
    pub(crate) fn ended(self, result: &Result<(), RunFailure>) {
        let count = match result {
            Ok(()) => &self.0.completed,
            // Bad input or a server that is down would fail under any generation, so a canary is not judged by it.
            Err(failure) if speaks_against_the_runner(failure.kind) => &self.0.failed,
            Err(_) => &self.0.other,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for RunInProgress<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

fn speaks_against_the_runner(kind: FailureKind) -> bool {
    // A list of what counts rather than of what does not: a new kind must not roll canaries back unnoticed.
    matches!(
        kind,
        FailureKind::RunnerError
            | FailureKind::Trap
            | FailureKind::Exit
            | FailureKind::Limit
            | FailureKind::Deadline
            | FailureKind::Stuck
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: FailureKind) -> Result<(), RunFailure> {
        Err(RunFailure::new(kind, ""))
    }

    #[test]
    fn a_broken_input_does_not_speak_against_the_runner_and_a_trap_does() {
        let counters = RunCounters::default();
        for result in [
            Ok(()),
            failure(FailureKind::Trap),
            failure(FailureKind::InvalidInput),
            failure(FailureKind::Cancelled),
        ] {
            counters.start().ended(&result);
        }
        let dropped = counters.start();
        assert_eq!(counters.counts().running, 1);
        drop(dropped);
        assert_eq!(counters.counts(), RunCounts { running: 0, completed: 1, failed: 1, other: 2 });
    }
}
