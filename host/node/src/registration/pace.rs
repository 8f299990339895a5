//! When to register again after a failure, and how often to warn (protocol 1.5 and 1.6).

use std::time::Duration;

use tokio::time::Instant;

use super::classify::Class;
use posemesh_net::retry::{Backoff, Jitter};

/// Conflicts and slow retries are warned of no more often than this.
const WARN_EVERY: Duration = Duration::from_secs(180);
/// Losing a registration again within this time counts as the same trouble.
const SAME_TROUBLE: Duration = Duration::from_secs(60);
/// So often a registration is repeated at once in the same trouble.
const AT_ONCE: u32 = 2;

/// The waits after retryable failures in a row (protocol 1.6).
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60), Jitter::FIFTH);

/// What the machine does after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Sleep so long.
    pub wait: Duration,
    /// The retryable failure's number in a row; 0 for others.
    pub attempt: u32,
    /// How long the conflict has lasted; zero for others.
    pub blocked: Duration,
    /// Say so as a warning; otherwise for debugging only.
    pub warn: bool,
    /// `REGISTER_MAX_RETRY` is reached: the count starts again.
    pub max_retry_reached: bool,
}

/// Counts failures.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    max_retry: Option<u32>,
    retryable: u32,
    conflict_since: Option<Instant>,
    warned_conflict: Option<Instant>,
    warned_slow: Option<Instant>,
    lost: u32,
}

impl Pace {
    /// No failure yet.
    pub fn new(interval: Duration, max_retry: Option<u32>) -> Self {
        Self {
            interval,
            max_retry,
            retryable: 0,
            conflict_since: None,
            warned_conflict: None,
            warned_slow: None,
            lost: 0,
        }
    }

    /// An attempt failed. `draw` is from 0 to 1.
    pub fn failed(&mut self, class: Class, now: Instant, draw: f64) -> Verdict {
        let mut verdict = Verdict {
            wait: self.interval,
            attempt: 0,
            blocked: Duration::ZERO,
            warn: true,
            max_retry_reached: false,
        };
        match class {
            Class::Conflict => {
                self.retryable = 0;
                verdict.blocked = now - *self.conflict_since.get_or_insert(now);
                verdict.warn = may_warn(&mut self.warned_conflict, now);
            }
            Class::SlowRetry => {
                self.retryable = 0;
                self.conflict_since = None;
                verdict.warn = may_warn(&mut self.warned_slow, now);
            }
            Class::Retryable => {
                self.conflict_since = None;
                self.retryable += 1;
                verdict.attempt = self.retryable;
                if self.max_retry.is_some_and(|max| self.retryable >= max) {
                    verdict.max_retry_reached = true;
                    self.retryable = 0;
                } else {
                    verdict.wait = BACKOFF.delay_after(self.retryable, draw);
                }
            }
        }
        verdict
    }

    /// An attempt succeeded.
    pub fn succeeded(&mut self) {
        self.retryable = 0;
        self.conflict_since = None;
        self.warned_conflict = None;
        self.warned_slow = None;
    }

    /// A registration that lasted so long is gone. Gives the wait before the next: none, unless it was
    /// lost again and again.
    pub fn lost(&mut self, lasted: Duration, draw: f64) -> Duration {
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
            let mut pace = Pace::new(INTERVAL, Some(limit));
            let told = waits.map(|_| pace.failed(Class::Retryable, Instant::now(), 0.5));
            assert_eq!(told.map(|verdict| verdict.wait.as_secs()), waits, "limit {limit}");
            assert_eq!(told.map(|verdict| verdict.max_retry_reached), waits.map(|wait| wait == 120));
        }
    }

    #[test]
    fn conflicts_and_slow_retries_wait_an_interval_and_end_the_other_episodes() {
        let mut pace = Pace::new(INTERVAL, None);
        let start = Instant::now();
        assert_eq!(pace.failed(Class::Retryable, start, 0.5).attempt, 1);
        assert_eq!(pace.failed(Class::Retryable, start, 0.5).attempt, 2);
        let conflict = pace.failed(Class::Conflict, start, 0.5);
        assert_eq!((conflict.wait, conflict.blocked), (INTERVAL, Duration::ZERO));
        assert_eq!(pace.failed(Class::Conflict, start + INTERVAL, 0.5).blocked, INTERVAL);
        assert_eq!(pace.failed(Class::Retryable, start, 0.5).attempt, 1, "the count began anew");
        let later = start + 2 * INTERVAL;
        assert_eq!(pace.failed(Class::Conflict, later, 0.5).blocked, Duration::ZERO, "a new episode");
    }

    #[test]
    fn warnings_come_at_once_and_then_every_three_minutes() {
        let mut pace = Pace::new(INTERVAL, None);
        let start = Instant::now();
        let mut warned = |class, minutes| pace.failed(class, start + minutes * MINUTE, 0.5).warn;
        assert!(warned(Class::SlowRetry, 0));
        assert!(warned(Class::Conflict, 0));
        assert!(!warned(Class::SlowRetry, 2));
        assert!(warned(Class::SlowRetry, 3));
        assert!(warned(Class::Retryable, 3) && warned(Class::Retryable, 3), "always");
    }

    #[test]
    fn a_lost_registration_is_repeated_at_once_but_not_for_ever() {
        let mut pace = Pace::new(INTERVAL, None);
        let waits = [0, 0, 0, 0].map(|lasted| pace.lost(Duration::from_secs(lasted), 0.5).as_secs());
        assert_eq!(waits, [0, 0, 2, 4]);
        assert_eq!(pace.lost(2 * MINUTE, 0.5), Duration::ZERO, "it had lasted");
    }
}
