//! The last hour, a minute each: how leases ended, and how long they took. Bounded, whatever a node does in a minute.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use posemesh_runner_api::failure::Blame;
use serde::Serialize;
use tokio::time::Instant;

use crate::millis::millis;
use crate::records::outcome::LeaseOutcome;

/// How many minutes are kept.
const MINUTES: u64 = 60;
/// How many durations of one minute are kept: the last ones.
const KEPT: usize = 256;

/// The last hour.
#[derive(Debug)]
pub(super) struct History {
    began: Instant,
    /// Oldest first; minutes in which nothing ended are left out.
    minutes: VecDeque<Minute>,
}

#[derive(Debug, Default)]
struct Minute {
    /// Counts from the start of the node.
    number: u64,
    completed: u64,
    failed: u64,
    lost: u64,
    /// In milliseconds.
    took: Vec<u64>,
    /// Failed tasks by kind and blame: words of the node's own, so they are few.
    failures: BTreeMap<(&'static str, Blame), u64>,
}

/// How often tasks have failed in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FailuresView {
    /// The kind of the failure.
    pub(crate) kind: &'static str,
    /// Whose fault it was.
    pub(crate) blame: &'static str,
    pub(crate) count: u64,
}

/// One minute, for people and programs that look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct MinuteView {
    /// How long ago it began, in minutes; 0 is this one.
    pub(crate) ago: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) lost: u64,
    /// Half of the leases took no longer; of completed and failed ones.
    pub(crate) median_ms: u64,
    /// 95 of 100 took no longer.
    pub(crate) p95_ms: u64,
}

impl Default for History {
    fn default() -> Self {
        Self { began: Instant::now(), minutes: VecDeque::new() }
    }
}

impl History {
    /// Notes that a lease has ended.
    pub(super) fn ended(&mut self, outcome: &LeaseOutcome, took: Duration) {
        let Some(minute) = self.minute() else { return };
        match outcome {
            LeaseOutcome::Completed { .. } => minute.completed += 1,
            LeaseOutcome::Failed { .. } => minute.failed += 1,
            LeaseOutcome::Lost { .. } => return minute.lost += 1,
            LeaseOutcome::Cancelled => return,
        }
        let seen = usize::try_from(minute.completed + minute.failed).unwrap_or(usize::MAX);
        if minute.took.len() < KEPT {
            minute.took.push(millis(took));
        } else if let Some(place) = minute.took.get_mut(seen % KEPT) {
            *place = millis(took);
        }
    }

    /// Notes why a task has failed.
    pub(super) fn failed(&mut self, kind: &'static str, blame: Blame) {
        if let Some(minute) = self.minute() {
            *minute.failures.entry((kind, blame)).or_default() += 1;
        }
    }

    /// This minute; older ones than an hour are forgotten.
    fn minute(&mut self) -> Option<&mut Minute> {
        let now = self.now();
        if self.minutes.back().is_none_or(|minute| minute.number != now) {
            self.minutes.push_back(Minute { number: now, ..Minute::default() });
        }
        while self.minutes.front().is_some_and(|minute| minute.number + MINUTES <= now) {
            self.minutes.pop_front();
        }
        self.minutes.back_mut()
    }

    /// How tasks failed in the last hour, the most frequent first.
    pub(super) fn failures(&self) -> Vec<FailuresView> {
        let now = self.now();
        let recent = self.minutes.iter().filter(|minute| minute.number + MINUTES > now);
        let mut sums: BTreeMap<(&'static str, Blame), u64> = BTreeMap::new();
        for (way, count) in recent.flat_map(|minute| &minute.failures) {
            *sums.entry(*way).or_default() += count;
        }
        let view = |((kind, blame), count): ((&'static str, Blame), u64)| FailuresView {
            kind,
            blame: blame.as_str(),
            count,
        };
        let mut failures: Vec<FailuresView> = sums.into_iter().map(view).collect();
        failures.sort_by_key(|failures| std::cmp::Reverse(failures.count));
        failures
    }

    /// Those of the last hour in which a lease ended, oldest first.
    pub(super) fn view(&self) -> Vec<MinuteView> {
        let now = self.now();
        let recent = self.minutes.iter().filter(|minute| minute.number + MINUTES > now);
        recent.map(|minute| minute.view(now)).collect()
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_secs() / 60
    }
}

impl Minute {
    fn view(&self, now: u64) -> MinuteView {
        let mut took = self.took.clone();
        took.sort_unstable();
        let at = |part: usize| took.get((took.len() * part / 100).min(took.len().saturating_sub(1)));
        MinuteView {
            ago: now - self.number,
            completed: self.completed,
            failed: self.failed,
            lost: self.lost,
            median_ms: at(50).copied().unwrap_or_default(),
            p95_ms: at(95).copied().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn an_hour_is_kept_and_each_minute_is_bounded() {
        let mut history = History::default();
        let completed = LeaseOutcome::Completed { confirmed: true };
        for millis in 1..=100 {
            history.ended(&completed, Duration::from_millis(millis));
        }
        history.ended(&LeaseOutcome::Lost { reason: String::new() }, MINUTE);
        tokio::time::advance(MINUTE).await;
        for _ in 0..10 * KEPT {
            history.ended(&LeaseOutcome::Failed { reason: String::new(), confirmed: true }, MINUTE);
        }
        let view = history.view();
        assert_eq!(view.len(), 2);
        let first = &view[0];
        assert_eq!(
            (first.ago, first.completed, first.lost, first.median_ms, first.p95_ms),
            (1, 100, 1, 51, 96)
        );
        assert_eq!((view[1].ago, view[1].failed, view[1].p95_ms), (0, 10 * KEPT as u64, 60_000));
        assert_eq!(history.minutes[1].took.len(), KEPT);
        tokio::time::advance(59 * MINUTE).await;
        assert_eq!(history.view().len(), 1, "the first is an hour old");
        history.ended(&completed, MINUTE);
        assert_eq!(history.minutes.len(), 2, "and goes with the next");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_count_by_kind_and_blame_for_an_hour() {
        let mut history = History::default();
        history.failed("trap", Blame::Runner);
        tokio::time::advance(30 * MINUTE).await;
        for _ in 0..3 {
            history.failed("limit", Blame::Runner);
        }
        history.failed("limit", Blame::Task);
        history.failed("trap", Blame::Runner);
        let told = |history: &History| {
            let each = |one: FailuresView| format!("{} {} {}", one.count, one.kind, one.blame);
            history.failures().into_iter().map(each).collect::<Vec<_>>()
        };
        assert_eq!(told(&history), ["3 limit runner", "2 trap runner", "1 limit task"]);
        tokio::time::advance(30 * MINUTE).await;
        assert_eq!(told(&history)[1..], ["1 limit task", "1 trap runner"]);
        tokio::time::advance(30 * MINUTE).await;
        assert_eq!(told(&history), [""; 0]);
    }
}
