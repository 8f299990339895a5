//! Trying a new generation on a share of the new tasks before it takes over.

use std::sync::Arc;

use serde::Deserialize;

use super::generation::Generation;
use super::tally::Counts;

/// `[canary]` in `NAME.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryPolicy {
    /// The share of the new tasks that a new generation gets: above 0, at most 1.
    #[serde(deserialize_with = "share")]
    pub share: f64,
    /// After so many tasks that say something about it, it is judged.
    #[serde(default = "usual_tasks", deserialize_with = "at_least_one")]
    pub tasks: u64,
    /// Above this share of failed ones it is rolled back; else it goes live.
    #[serde(default = "usual_failure_share", deserialize_with = "ratio")]
    pub max_failure_share: f64,
}

fn usual_tasks() -> u64 {
    20
}

fn usual_failure_share() -> f64 {
    0.1
}

fn share<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let share = ratio(deserializer)?;
    if share > 0.0 { Ok(share) } else { Err(serde::de::Error::custom("must be above 0 and at most 1")) }
}

fn ratio<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let ratio = f64::deserialize(deserializer)?;
    let fits = (0.0..=1.0).contains(&ratio);
    if fits { Ok(ratio) } else { Err(serde::de::Error::custom("must be from 0 to 1")) }
}

fn at_least_one<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    if number > 0 { Ok(number) } else { Err(serde::de::Error::custom("must be at least 1")) }
}

/// What is to become of a generation on trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not enough is known.
    Open,
    /// It takes over.
    GoLive,
    /// It is taken back; why.
    RollBack(String),
}

impl CanaryPolicy {
    /// Judges a generation. It is taken back as soon as it can't pass any more.
    pub fn judge(&self, counts: Counts) -> Verdict {
        // Counts are far below 2^52.
        let most = self.max_failure_share * self.tasks as f64;
        if counts.failed as f64 > most {
            return Verdict::RollBack(format!(
                "{} of its first {} tasks failed, and `canary.max_failure_share` is {}",
                counts.failed,
                counts.judged(),
                self.max_failure_share
            ));
        }
        if counts.judged() >= self.tasks { Verdict::GoLive } else { Verdict::Open }
    }
}

/// A generation on trial.
#[derive(Debug)]
pub struct Trial {
    /// The generation.
    pub generation: Arc<Generation>,
    /// How it is tried.
    pub policy: CanaryPolicy,
    /// Grows by the share with each task; at 1 a task goes to the generation.
    credit: f64,
}

impl Trial {
    /// One that has had no task.
    pub fn new(generation: Arc<Generation>, policy: CanaryPolicy) -> Self {
        Self { generation, policy, credit: 0.0 }
    }

    /// Whether the next task is this generation's.
    pub fn takes_next(&mut self) -> bool {
        takes_next(&mut self.credit, self.policy.share)
    }

    /// What is to become of it.
    pub fn verdict(&self) -> Verdict {
        self.policy.judge(self.generation.tally.counts())
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
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Result<CanaryPolicy, toml::de::Error> {
        toml::from_str(text)
    }

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
        let policy = policy("share = 0.5\ntasks = 10\nmax_failure_share = 0.2").unwrap();
        let counts = |completed, failed| Counts { completed, failed, running: 3, other: 9 };
        assert_eq!(policy.judge(counts(7, 2)), Verdict::Open);
        assert_eq!(policy.judge(counts(8, 2)), Verdict::GoLive);
        let Verdict::RollBack(why) = policy.judge(counts(1, 3)) else {
            panic!("three can't be a fifth of ten")
        };
        assert!(why.contains("3 of its first 4") && why.contains("0.2"), "{why}");
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for text in
            ["share = 0", "share = 1.5", "share = nan", "share = 0.1\ntasks = 0", "tasks = 3", "shar = 1"]
        {
            policy(text).unwrap_err();
        }
        assert_eq!(policy("share = 1").unwrap().tasks, 20);
    }
}
