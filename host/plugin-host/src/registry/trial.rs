//! A canary's trial: which tasks it gets, and when enough is known of it.

use crate::manifest::canary::CanaryPolicy;
use crate::registry::counters::RunCounts;

/// What is to become of a generation on trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CanaryVerdict {
    /// Not enough is known.
    Open,
    /// It takes over.
    GoLive,
    /// It is taken back; why.
    RollBack(String),
}

/// The trial of one generation.
#[derive(Debug)]
pub(crate) struct CanaryTrial {
    policy: CanaryPolicy,
    /// Grows by the share with each task; at 1 a task goes to the canary.
    credit: f64,
}

impl CanaryTrial {
    /// The trial of a generation that has had no task.
    pub(crate) fn new(policy: CanaryPolicy) -> Self {
        Self { policy, credit: 0.0 }
    }

    /// Whether the next task is the canary's.
    pub(crate) fn takes_next(&mut self) -> bool {
        takes_next(&mut self.credit, self.policy.share)
    }

    /// Judges the canary by its runs so far. It is taken back as soon as it can't pass any more.
    pub(crate) fn verdict(&self, counts: RunCounts) -> CanaryVerdict {
        let CanaryPolicy { tasks, max_failure_share, .. } = self.policy;
        // Counts are far below 2^52.
        let most = max_failure_share * tasks as f64;
        // Measured against all tasks of the trial, not those so far: one early failure alone proves little.
        if counts.failed as f64 > most {
            return CanaryVerdict::RollBack(format!(
                "{} of its first {} tasks failed, and `canary.max_failure_share` is {max_failure_share}",
                counts.failed,
                counts.judged(),
            ));
        }
        if counts.judged() >= tasks { CanaryVerdict::GoLive } else { CanaryVerdict::Open }
    }
}

fn takes_next(credit: &mut f64, share: f64) -> bool {
    // Shares like 0.1 are not exact in binary; ten of them must make one.
    *credit += share;
    let takes = *credit > 1.0 - 1e-9;
    if takes {
        *credit -= 1.0;
    }
    takes
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn every_tenth_task_is_the_canarys() {
        let mut credit = 0.0;
        let took: Vec<usize> = (1..=30).filter(|_| takes_next(&mut credit, 0.1)).collect();
        assert_eq!(took, [10, 20, 30]);
        let mut credit = 0.0;
        assert!((0..5).all(|_| takes_next(&mut credit, 1.0)), "all of them");
    }

    #[test]
    fn it_is_judged_after_its_tasks_or_once_it_cannot_pass() {
        let trial = CanaryTrial::new(CanaryPolicy { share: 0.5, tasks: 10, max_failure_share: 0.2 });
        let counts = |completed, failed| RunCounts { completed, failed, running: 3, other: 9 };
        assert_eq!(trial.verdict(counts(7, 2)), CanaryVerdict::Open);
        assert_eq!(trial.verdict(counts(8, 2)), CanaryVerdict::GoLive);
        let CanaryVerdict::RollBack(why) = trial.verdict(counts(1, 3)) else {
            panic!("three can't be a fifth of ten")
        };
        assert!(why.contains("3 of its first 4") && why.contains("0.2"), "{why}");
    }
}
