//! When to register again after a failure, and how often to warn (protocol 1.5 and 1.6).

use std::time::Duration;

use tokio::time::Instant;

use super::failure::RegistrationFailure;
use super::settings::RegistrationSettings;
use posemesh_net::retry::{Backoff, Jitter};

/// The shortest time between two warnings of conflicts, and between two of slow retries.
const WARN_EVERY: Duration = Duration::from_secs(180);
/// Losing a registration again within this time counts as the same trouble.
const SAME_TROUBLE: Duration = Duration::from_secs(60);
/// How many times a lost registration is repeated at once in the same trouble.
const AT_ONCE: u32 = 2;

/// The waits after retryable failures in a row (protocol 1.6).
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60), Jitter::FIFTH);

/// What the registration loop does after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RetryDecision {
    /// How long to wait before the next registration.
    pub(super) wait: Duration,
    /// The number of consecutive retryable failures; 0 for other failures.
    pub(super) attempt: u32,
    /// How long the conflict has lasted; zero for others.
    pub(super) blocked: Duration,
    /// Whether to log a warning; otherwise the failure is logged for debugging only.
    pub(super) warn: bool,
    /// `REGISTER_MAX_RETRY` is reached: the count starts again.
    pub(super) max_retry_reached: bool,
}

/// Counts failures and decides how long to wait after each.
#[derive(Debug)]
pub(super) struct RegistrationPacing {
    settings: RegistrationSettings,
    retryable: u32,
    conflict_since: Option<Instant>,
    warned_conflict: Option<Instant>,
    warned_slow: Option<Instant>,
    lost: u32,
}

impl RegistrationPacing {
    /// No failure yet.
    pub(super) fn new(settings: RegistrationSettings) -> Self {
        Self {
            settings,
            retryable: 0,
            conflict_since: None,
            warned_conflict: None,
            warned_slow: None,
            lost: 0,
        }
    }

    /// A registration failed. `draw` is a random number from 0 to 1.
    pub(super) fn failed(&mut self, failure: RegistrationFailure, now: Instant, draw: f64) -> RetryDecision {
        let mut decision = RetryDecision {
            wait: self.settings.interval,
            attempt: 0,
            blocked: Duration::ZERO,
            warn: true,
            max_retry_reached: false,
        };
        match failure {
            // The wait stays the same, without a limit: the other node may end at any time.
            RegistrationFailure::Conflict => {
                self.retryable = 0;
                decision.blocked = now - *self.conflict_since.get_or_insert(now);
                decision.warn = may_warn(&mut self.warned_conflict, now);
            }
            RegistrationFailure::SlowRetry => {
                self.retryable = 0;
                self.conflict_since = None;
                decision.warn = may_warn(&mut self.warned_slow, now);
            }
            RegistrationFailure::Retryable => {
                self.conflict_since = None;
                self.retryable += 1;
                decision.attempt = self.retryable;
                // Reaching the limit does not mean giving up: the node has to come back by itself when DDS does.
                if self.settings.max_retry.is_some_and(|max| self.retryable >= max) {
                    decision.max_retry_reached = true;
                    self.retryable = 0;
                } else {
                    decision.wait = BACKOFF.delay_after(self.retryable, draw);
                }
            }
        }
        decision
    }

    /// A registration succeeded.
    pub(super) fn succeeded(&mut self) {
        self.retryable = 0;
        self.conflict_since = None;
        // `lost` stays: a registration that is taken and lost over and over must not be repeated without a pause.
        self.warned_conflict = None;
        self.warned_slow = None;
    }

    /// A registration is gone after it had lasted for `lasted`. Returns the wait before the next one: zero,
    /// unless it was lost again and again.
    pub(super) fn lost(&mut self, lasted: Duration, draw: f64) -> Duration {
        if lasted > SAME_TROUBLE {
            self.lost = 0;
        }
        self.lost += 1;
        self.lost
            .checked_sub(AT_ONCE)
            .filter(|n| *n > 0)
            .map_or(Duration::ZERO, |n| BACKOFF.delay_after(n, draw))
    }
}

fn may_warn(last: &mut Option<Instant>, now: Instant) -> bool {
    let may = last.is_none_or(|last| now - last >= WARN_EVERY);
    if may {
        *last = Some(now);
    }
    may
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const INTERVAL: Duration = Duration::from_secs(120);

    fn new_pacing(max_retry: Option<u32>) -> RegistrationPacing {
        RegistrationPacing::new(RegistrationSettings { interval: INTERVAL, max_retry })
    }

    #[test]
    fn retryable_failures_wait_2_4_8_up_to_60_seconds_give_or_take_a_fifth() {
        let waits: Vec<u64> = (1..8).map(|n| BACKOFF.delay_after(n, 0.5).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(BACKOFF.delay_after(1, 0.0), Duration::from_millis(1600));
        assert_eq!(BACKOFF.delay_after(6, 1.0), Duration::from_secs(72));
        assert_eq!(BACKOFF.delay_after(u32::MAX, 0.5), MINUTE);
    }

    #[test]
    fn the_retry_limit_waits_an_interval_and_starts_again() {
        for (limit, waits) in [(0, [120, 120, 120]), (1, [120, 120, 120]), (2, [2, 120, 2])] {
            let mut pacing = new_pacing(Some(limit));
            let decisions = waits.map(|_| pacing.failed(RegistrationFailure::Retryable, Instant::now(), 0.5));
            assert_eq!(decisions.map(|decision| decision.wait.as_secs()), waits, "limit {limit}");
            assert_eq!(decisions.map(|decision| decision.max_retry_reached), waits.map(|wait| wait == 120));
        }
    }

    #[test]
    fn conflicts_and_slow_retries_wait_an_interval_and_end_the_other_episodes() {
        let mut pacing = new_pacing(None);
        let start = Instant::now();
        assert_eq!(pacing.failed(RegistrationFailure::Retryable, start, 0.5).attempt, 1);
        assert_eq!(pacing.failed(RegistrationFailure::Retryable, start, 0.5).attempt, 2);
        let conflict = pacing.failed(RegistrationFailure::Conflict, start, 0.5);
        assert_eq!((conflict.wait, conflict.blocked), (INTERVAL, Duration::ZERO));
        assert_eq!(pacing.failed(RegistrationFailure::Conflict, start + INTERVAL, 0.5).blocked, INTERVAL);
        assert_eq!(
            pacing.failed(RegistrationFailure::Retryable, start, 0.5).attempt,
            1,
            "the count began anew"
        );
        let later = start + 2 * INTERVAL;
        assert_eq!(
            pacing.failed(RegistrationFailure::Conflict, later, 0.5).blocked,
            Duration::ZERO,
            "a new episode"
        );
    }

    #[test]
    fn warnings_come_at_once_and_then_every_three_minutes() {
        let mut pacing = new_pacing(None);
        let start = Instant::now();
        let mut warned = |class, minutes| pacing.failed(class, start + minutes * MINUTE, 0.5).warn;
        assert!(warned(RegistrationFailure::SlowRetry, 0));
        assert!(warned(RegistrationFailure::Conflict, 0));
        assert!(!warned(RegistrationFailure::SlowRetry, 2));
        assert!(warned(RegistrationFailure::SlowRetry, 3));
        assert!(
            warned(RegistrationFailure::Retryable, 3) && warned(RegistrationFailure::Retryable, 3),
            "always"
        );
    }

    #[test]
    fn a_lost_registration_is_repeated_at_once_but_not_for_ever() {
        let mut pacing = new_pacing(None);
        let waits = [0, 0, 0, 0].map(|lasted| pacing.lost(Duration::from_secs(lasted), 0.5).as_secs());
        assert_eq!(waits, [0, 0, 2, 4]);
        assert_eq!(pacing.lost(2 * MINUTE, 0.5), Duration::ZERO, "it had lasted");
    }
}
