//! Waits that grow with every failure and never fall into step with other nodes.

use std::time::Duration;

/// How many doublings are counted; more would overflow nothing, but say nothing either.
const MAX_DOUBLINGS: u32 = 24;

/// Exponential back-off with jitter between two bounds.
///
/// The n-th wait in a row is uniform in the upper half of `shortest * 2^n`, cut at `longest` and never
/// below `shortest`.
#[derive(Debug, Clone)]
pub struct Backoff {
    shortest: Duration,
    longest: Duration,
    /// Failures in a row.
    failures: u32,
}

impl Backoff {
    /// Waits between the two, in whichever order they are given.
    pub fn new(one: Duration, other: Duration) -> Self {
        Self { shortest: one.min(other), longest: one.max(other), failures: 0 }
    }

    /// Counts a failure and tells how long to wait after it.
    pub fn next_wait(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let factor = 1_u32 << self.failures.min(MAX_DOUBLINGS);
        let cap = self.shortest.saturating_mul(factor).min(self.longest);
        uniform((cap / 2).max(self.shortest), cap)
    }

    /// Forgets the failures: it worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How many failures there were since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

/// A uniformly random duration in `[low, high]`, to the microsecond.
pub fn uniform(low: Duration, high: Duration) -> Duration {
    let span = u64::try_from(high.saturating_sub(low).as_micros()).unwrap_or(u64::MAX);
    low.saturating_add(Duration::from_micros(fastrand::u64(0..=span)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_longest_and_stay_within_their_half() {
        let mut backoff = Backoff::new(30 * SECOND, SECOND);
        for (low, high) in [(1, 2), (2, 4), (4, 8), (8, 16), (15, 30), (15, 30)] {
            let wait = backoff.next_wait();
            assert!(wait >= low * SECOND && wait <= high * SECOND, "{wait:?} is not in {low}..{high} s");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= 2 * SECOND, "a success starts it over");
    }

    #[test]
    fn equal_and_zero_bounds_are_harmless() {
        assert_eq!(Backoff::new(SECOND, SECOND).next_wait(), SECOND);
        assert_eq!(Backoff::new(Duration::ZERO, Duration::ZERO).next_wait(), Duration::ZERO);
        assert_eq!(uniform(SECOND, Duration::ZERO), SECOND, "a reversed range is its lower end");
    }

    #[test]
    fn uniform_reaches_both_halves_of_its_range() {
        let draws: Vec<_> = (0..200).map(|_| uniform(SECOND, 3 * SECOND)).collect();
        assert!(draws.iter().all(|draw| (SECOND..=3 * SECOND).contains(draw)));
        assert!(draws.iter().any(|draw| *draw < 2 * SECOND) && draws.iter().any(|draw| *draw > 2 * SECOND));
    }
}
