//! The circuit breaker of one runner: a runner that fails again and again gets no new task for a growing time.
//!
//! It opens when so many judged runs in a row have failed, or when too many of the latest ones have. While it is
//! open, the node does not advertise what only this runner serves. When the time is over it is half open: one task
//! is the trial. If that completes the breaker closes; if it fails by the runner's fault the breaker opens for twice
//! as long; if it ends otherwise (a wrong task, a server that is down) the next task is the trial. The time falls
//! back to the first one after a whole window of runs without opening.
//!
//! A task that was leased already is run in any state: refusing it would cost its job an attempt for certain, and
//! running it may not. What becomes of it changes nothing while the breaker is not closed; the trial alone does.
//!
//! Pure: the time and the random number are passed in.

use std::collections::VecDeque;
use std::time::Duration;

use posemesh_net::retry::{Backoff, Jitter};
use posemesh_text::one_line;
use tokio::time::Instant;

use crate::manifest::breaker::BreakerPolicy;

/// The longest reason of a failure that is kept, in bytes: it is shown in logs, lists and `/ready`.
const MAX_FAILURE: usize = 300;

/// The breaker of one generation.
#[derive(Debug)]
pub(crate) struct Breaker {
    policy: BreakerPolicy,
    phase: Phase,
    /// Whether the latest judged runs failed, oldest first: at most `policy.window`.
    latest: VecDeque<bool>,
    /// Failures since the last run that completed.
    in_a_row: usize,
    /// Judged runs since it closed, up to the window.
    since_closed: usize,
    /// How often it has opened since the time was the first one.
    openings: u32,
    /// The number of the next trial.
    next_trial: u64,
    /// Why it opened last, and the failure that opened it.
    opened: Option<OpenReason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Open { until: Instant },
    HalfOpen { trial: Option<Trial> },
}

/// One task that decides whether the breaker closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trial(u64);

/// Why a breaker opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenReason {
    /// Which threshold was passed.
    pub(crate) why: String,
    /// The reason of the last failure, on one line.
    pub(crate) last_failure: String,
}

/// What a run says about its runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement<'a> {
    /// It completed.
    Completed,
    /// It failed by the runner's fault; the reason, in the runner's own words.
    Failed(&'a str),
    /// It failed by somebody else's fault, or was dropped.
    Nothing,
}

/// A change of phase, to be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BreakerChange {
    /// It opened for this long.
    Opened(Duration, OpenReason),
    /// The time is over: the next task is the trial.
    HalfOpened,
    /// The trial completed.
    Closed,
}

impl Breaker {
    /// A closed breaker that has seen no run.
    pub(crate) fn new(policy: BreakerPolicy) -> Self {
        Self {
            policy,
            phase: Phase::Closed,
            latest: VecDeque::new(),
            in_a_row: 0,
            since_closed: 0,
            openings: 0,
            next_trial: 0,
            opened: None,
        }
    }

    /// Its thresholds.
    pub(crate) fn policy(&self) -> &BreakerPolicy {
        &self.policy
    }

    /// Whether the runner should get new tasks: always but while it is open or on trial.
    pub(crate) fn admits(&self) -> bool {
        matches!(self.phase, Phase::Closed | Phase::HalfOpen { trial: None })
    }

    /// When it will be half open, if it is open now.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open { until } => Some(until),
            Phase::Closed | Phase::HalfOpen { .. } => None,
        }
    }

    /// Becomes half open if its time is over.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<BreakerChange> {
        let due = self.due().is_some_and(|until| now >= until);
        due.then(|| {
            self.phase = Phase::HalfOpen { trial: None };
            BreakerChange::HalfOpened
        })
    }

    /// The runner gets a task; a trial if it is the one that decides.
    pub(crate) fn begin(&mut self) -> Option<Trial> {
        if self.phase != (Phase::HalfOpen { trial: None }) {
            return None;
        }
        let trial = Trial(self.next_trial);
        self.next_trial = self.next_trial.wrapping_add(1);
        self.phase = Phase::HalfOpen { trial: Some(trial) };
        Some(trial)
    }

    /// A task of the runner has ended. `draw` is a random number from 0 to 1, which spreads the time that it opens
    /// for.
    pub(crate) fn ended(
        &mut self,
        trial: Option<Trial>,
        judgement: Judgement<'_>,
        now: Instant,
        draw: f64,
    ) -> Option<BreakerChange> {
        match self.phase {
            Phase::Closed => self.count(judgement, now, draw),
            // A run that began before it opened, or a task that was leased already.
            Phase::Open { .. } => None,
            Phase::HalfOpen { trial: current } => {
                // The trial of an earlier opening, or no trial at all.
                if trial.is_none() || trial != current {
                    return None;
                }
                match judgement {
                    Judgement::Completed => {
                        self.reset_counts();
                        self.phase = Phase::Closed;
                        Some(BreakerChange::Closed)
                    }
                    Judgement::Failed(reason) => {
                        let why = "the task that tried it failed too".to_owned();
                        Some(self.open(why, reason, now, draw))
                    }
                    Judgement::Nothing => {
                        self.phase = Phase::HalfOpen { trial: None };
                        None
                    }
                }
            }
        }
    }

    /// Closes it, as if nothing had happened; false if it was closed already.
    pub(crate) fn close(&mut self) -> bool {
        let was_closed = self.phase == Phase::Closed;
        let next_trial = self.next_trial;
        // Trials that are still under way must not be taken for later ones.
        *self = Self { next_trial, ..Self::new(self.policy.clone()) };
        !was_closed
    }

    /// Is open as it was in an earlier process, for as long as was left then; half open if that time is over. False if
    /// there is no breaker.
    pub(crate) fn reopen(&mut self, left: Duration, openings: u32, reason: OpenReason, now: Instant) -> bool {
        if !self.policy.enabled {
            return false;
        }
        // The clock may have been set meanwhile.
        let left = left.min(self.policy.longest_open());
        self.openings = openings.max(1);
        self.opened = Some(reason);
        self.phase = match left.is_zero() {
            true => Phase::HalfOpen { trial: None },
            false => Phase::Open { until: now + left },
        };
        true
    }

    /// Where it stands, unless there is none.
    pub(crate) fn status(&self) -> Option<BreakerStatus<'_>> {
        self.policy.enabled.then(|| BreakerStatus {
            phase: match self.phase {
                Phase::Closed => BreakerPhase::Closed,
                Phase::Open { .. } => BreakerPhase::Open,
                Phase::HalfOpen { .. } => BreakerPhase::HalfOpen,
            },
            until: self.due(),
            in_a_row: self.in_a_row,
            judged: self.latest.len(),
            failed: self.failed(),
            openings: self.openings,
            opened: self.opened.as_ref(),
        })
    }

    /// Counts a run of a closed breaker.
    fn count(&mut self, judgement: Judgement<'_>, now: Instant, draw: f64) -> Option<BreakerChange> {
        let (failed, reason) = match judgement {
            _ if !self.policy.enabled => return None,
            Judgement::Nothing => return None,
            Judgement::Completed => (false, ""),
            Judgement::Failed(reason) => (true, reason),
        };
        if self.latest.len() >= self.policy.window {
            self.latest.pop_front();
        }
        self.latest.push_back(failed);
        self.in_a_row = if failed { self.in_a_row.saturating_add(1) } else { 0 };
        self.since_closed = self.since_closed.saturating_add(1);
        // A completed run never opens it, though an older one that it pushes out may have been a success.
        if failed && let Some(why) = self.too_many() {
            return Some(self.open(why, reason, now, draw));
        }
        if self.since_closed >= self.policy.window {
            self.openings = 0;
        }
        None
    }

    /// Which threshold the counted runs have passed.
    fn too_many(&self) -> Option<String> {
        let BreakerPolicy { failures, window, max_failure_share: share, .. } = self.policy;
        if self.in_a_row >= failures {
            return Some(format!("{} runs in a row failed (breaker.failures = {failures})", self.in_a_row));
        }
        // Only of a full window: one failure of two runs proves little. Counts are far below 2^52.
        let failed = self.failed();
        let too_many = self.latest.len() >= window && failed as f64 > share * window as f64;
        too_many.then(|| {
            format!("{failed} of the last {window} runs failed (breaker.max_failure_share = {share})")
        })
    }

    fn open(&mut self, why: String, last_failure: &str, now: Instant, draw: f64) -> BreakerChange {
        self.openings = self.openings.saturating_add(1);
        let longest = self.policy.longest_open();
        let backoff = Backoff::new(self.policy.first_open(), longest, Jitter::FIFTH);
        // The spread may pass the maximum that the operator was promised.
        let time = backoff.delay_after(self.openings, draw).min(longest);
        let reason = OpenReason { why, last_failure: one_line(last_failure, MAX_FAILURE) };
        self.reset_counts();
        self.phase = Phase::Open { until: now + time };
        self.opened = Some(reason.clone());
        BreakerChange::Opened(time, reason)
    }

    fn reset_counts(&mut self) {
        self.latest.clear();
        self.in_a_row = 0;
        self.since_closed = 0;
    }

    fn failed(&self) -> usize {
        self.latest.iter().filter(|failed| **failed).count()
    }
}

/// What a breaker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakerPhase {
    Closed,
    Open,
    HalfOpen,
}

/// Where a breaker stands.
#[derive(Debug, Clone)]
pub(crate) struct BreakerStatus<'a> {
    pub(crate) phase: BreakerPhase,
    /// When it will be half open.
    pub(crate) until: Option<Instant>,
    /// Failures in a row.
    pub(crate) in_a_row: usize,
    /// Runs of the window so far.
    pub(crate) judged: usize,
    /// How many of them failed.
    pub(crate) failed: usize,
    /// How often it has opened since the time was the first one.
    pub(crate) openings: u32,
    /// Why it opened last.
    pub(crate) opened: Option<&'a OpenReason>,
}

#[cfg(test)]
mod tests;
