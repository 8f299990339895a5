//! A canary's trial: which tasks it gets, and when enough is known of it.
//!
//! Failures by the runner's fault speak for themselves. A task or an input that the canary calls wrong may be wrong: it is
//! compared with what the generation in force has said meanwhile. Of the tasks that come in at the same time each gets its
//! share, so that wrong tasks meet both; if the canary calls so many more of them wrong that chance explains it in less than
//! one of 200 cases, it is taken back. Of a generation that has had few tasks meanwhile, all of its life counts; and where
//! there is little of that, one in ten is taken for usual.

use crate::manifest::canary::CanaryPolicy;
use crate::registry::comparison::{Share, chance};
use crate::registry::counters::RunCounts;

/// Fewer wrong tasks than this prove nothing.
const MIN_INVALID: u64 = 5;
/// How unlikely chance must be as the explanation.
const MAX_CHANCE: f64 = 0.005;
/// So many runs of the generation in force during the trial are enough to compare with.
const MIN_REFERENCE: u64 = 10;
/// What its life before counts for, in runs.
const MAX_HISTORY: u64 = 50;
/// What is usual where nothing is known.
const USUAL: Share = Share { some: 1, all: 10 };

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
    /// What the generation in force had done when the trial began.
    reference: RunCounts,
    /// Grows by the share with each task; at 1 a task goes to the canary.
    credit: f64,
}

impl CanaryTrial {
    /// The trial of a generation that has had no task, beside one that has done this.
    pub(crate) fn new(policy: CanaryPolicy, reference: RunCounts) -> Self {
        Self { policy, reference, credit: 0.0 }
    }

    /// The operator has changed the rules.
    pub(crate) fn set_policy(&mut self, policy: CanaryPolicy) {
        self.policy = policy;
    }

    /// The share of the tasks that it gets.
    pub(crate) fn share(&self) -> f64 {
        self.policy.share
    }

    /// Whether the next task is the canary's.
    pub(crate) fn takes_next(&mut self) -> bool {
        takes_next(&mut self.credit, self.policy.share)
    }

    /// Judges the canary by its runs so far, and by those of the generation in force. It is taken back as soon as it can't
    /// pass any more.
    pub(crate) fn verdict(&self, counts: RunCounts, in_force: RunCounts) -> CanaryVerdict {
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
        if let Some(why) = self.calls_too_much_wrong(counts, in_force) {
            return CanaryVerdict::RollBack(why);
        }
        if counts.judged() >= tasks { CanaryVerdict::GoLive } else { CanaryVerdict::Open }
    }
}

/// The runs that were called wrong, of those that were ended by the runner.
fn wrong(counts: RunCounts) -> Share {
    Share { some: counts.invalid, all: counts.judged().saturating_add(counts.invalid) }
}

impl CanaryTrial {
    fn calls_too_much_wrong(&self, counts: RunCounts, in_force: RunCounts) -> Option<String> {
        if counts.invalid < MIN_INVALID {
            return None;
        }
        let (before, now) = (wrong(self.reference), wrong(in_force));
        let meanwhile =
            Share { some: now.some.saturating_sub(before.some), all: now.all.saturating_sub(before.all) };
        let reference = if meanwhile.all >= MIN_REFERENCE { meanwhile } else { now.of_at_most(MAX_HISTORY) };
        let canary = wrong(counts);
        (chance(canary, reference.and(USUAL)) < MAX_CHANCE).then(|| {
            format!(
                "it called {} of {} tasks or inputs wrong (`invalid_task`, `invalid_input`, `input_not_found`), and the \
                 generation in force {} of {}",
                canary.some, canary.all, reference.some, reference.all,
            )
        })
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
        let trial = CanaryTrial::new(POLICY, RunCounts::default());
        let counts = |completed, failed| RunCounts { completed, failed, running: 3, other: 9, invalid: 0 };
        let none = RunCounts::default();
        assert_eq!(trial.verdict(counts(7, 2), none), CanaryVerdict::Open);
        assert_eq!(trial.verdict(counts(8, 2), none), CanaryVerdict::GoLive);
        let CanaryVerdict::RollBack(why) = trial.verdict(counts(1, 3), none) else {
            panic!("three can't be a fifth of ten")
        };
        assert!(why.contains("3 of its first 4") && why.contains("0.2"), "{why}");
    }

    const POLICY: CanaryPolicy = CanaryPolicy { share: 0.5, tasks: 10, max_failure_share: 0.2 };

    fn called_wrong(completed: u64, invalid: u64) -> RunCounts {
        RunCounts { completed, other: invalid, invalid, ..RunCounts::default() }
    }

    #[test]
    fn one_that_calls_everything_wrong_is_taken_back_even_with_nothing_to_compare_it_with() {
        let trial = CanaryTrial::new(POLICY, RunCounts::default());
        let verdict = |invalid| trial.verdict(called_wrong(0, invalid), RunCounts::default());
        assert_eq!(verdict(4), CanaryVerdict::Open, "little proves little");
        let CanaryVerdict::RollBack(why) = verdict(5) else { panic!("{:?}", verdict(5)) };
        assert!(why.contains("called 5 of 5") && why.contains("in force 0 of 0"), "{why}");
    }

    #[test]
    fn what_is_wrong_for_the_generation_in_force_as_well_does_not_count_against_a_canary() {
        // Both get the tasks of somebody who submits rubbish.
        let reference = called_wrong(10_000, 0);
        let trial = CanaryTrial::new(POLICY, reference);
        let in_force = |completed: u64, invalid| called_wrong(10_000 + completed, invalid);
        assert_eq!(trial.verdict(called_wrong(2, 8), in_force(2, 8)), CanaryVerdict::Open);
        assert_eq!(trial.verdict(called_wrong(10, 30), in_force(8, 32)), CanaryVerdict::GoLive);
        assert_eq!(
            trial.verdict(called_wrong(9, 5), in_force(40, 5)),
            CanaryVerdict::Open,
            "it may be chance"
        );
        // A version that has lost a format: three in ten, where the old one has one in a hundred.
        let verdict = trial.verdict(called_wrong(9, 6), in_force(99, 1));
        assert!(matches!(verdict, CanaryVerdict::RollBack(_)), "{verdict:?}");
        // Few tasks meanwhile: its life tells what is usual.
        let verdict = trial.verdict(called_wrong(9, 6), in_force(1, 0));
        assert!(matches!(verdict, CanaryVerdict::RollBack(_)), "{verdict:?}");
    }
}
