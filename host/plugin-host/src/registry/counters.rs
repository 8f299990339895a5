//! What has become of the tasks of one generation.

use std::sync::atomic::{AtomicU64, Ordering};

use posemesh_runner_api::failure::{Blame, FailureKind, RunFailure};
use serde::{Deserialize, Serialize};

/// Counts the runs of one generation, over all tasks that hold it.
#[derive(Debug, Default)]
pub(crate) struct RunCounters {
    running: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
    other: AtomicU64,
    invalid: AtomicU64,
}

/// The counts at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCounts {
    /// Runs that go on.
    pub running: u64,
    /// Runs that ended well.
    pub completed: u64,
    /// Runs that failed by the runner's fault ([`Blame::Runner`]): it returned an error of its own, trapped, called
    /// `exit`, reached a limit or its deadline, or could not be ended.
    pub failed: u64,
    /// Runs that failed by somebody else's fault: the task or an input was wrong, a server or this node failed, it
    /// was cancelled.
    pub other: u64,
    /// Of these, the runs whose task or input the runner called wrong, or asked for what is not there: one that does so
    /// with every task is itself at fault, which only a comparison shows.
    #[serde(default)]
    pub invalid: u64,
}

impl RunCounts {
    /// The runs that say something about the runner.
    pub fn judged(&self) -> u64 {
        self.completed + self.failed
    }
}

/// Failed runs by whose fault they were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureCounts {
    /// The task could not be done as it was submitted, or it was cancelled.
    pub task: u64,
    /// The runner is wrong, or used more than it was granted.
    pub runner: u64,
    /// This node was in trouble.
    pub host: u64,
    /// A server that the task needs was.
    pub server: u64,
}

impl FailureCounts {
    /// How many were the fault of somebody.
    pub fn of(&self, blame: Blame) -> u64 {
        match blame {
            Blame::Task => self.task,
            Blame::Runner => self.runner,
            Blame::Host => self.host,
            Blame::Server => self.server,
        }
    }

    pub(crate) fn count(&mut self, blame: Blame) {
        let count = match blame {
            Blame::Task => &mut self.task,
            Blame::Runner => &mut self.runner,
            Blame::Host => &mut self.host,
            Blame::Server => &mut self.server,
        };
        *count = count.saturating_add(1);
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
            invalid: get(&self.invalid),
        }
    }
}

impl RunInProgress<'_> {
    /// Counts how the run ended.
    pub(crate) fn ended(self, result: &Result<(), RunFailure>) {
        let count = match result {
            Ok(()) => &self.0.completed,
            // A bad input, a server that is down or a full disk would fail under any generation, so that a canary is
            // not judged by it. The blame decides and not the kind: the same kind can be anybody's fault.
            Err(failure) if failure.blame == Blame::Runner => &self.0.failed,
            Err(failure) => {
                if failure.blame == Blame::Task && failure.kind != FailureKind::Cancelled {
                    self.0.invalid.fetch_add(1, Ordering::Relaxed);
                }
                &self.0.other
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for RunInProgress<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: FailureKind) -> Result<(), RunFailure> {
        Err(RunFailure::new(kind, ""))
    }

    #[test]
    fn a_runner_is_not_judged_by_the_trouble_of_its_host() {
        let counters = RunCounters::default();
        for blame in [Blame::Host, Blame::Server, Blame::Task] {
            counters.start().ended(&Err(RunFailure::new(FailureKind::Trap, "").blamed_on(blame)));
        }
        assert_eq!(counters.counts(), RunCounts { other: 3, invalid: 1, ..RunCounts::default() });
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
        assert_eq!(
            counters.counts(),
            RunCounts { running: 0, completed: 1, failed: 1, other: 2, invalid: 1 }
        );
    }
}
