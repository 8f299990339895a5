//! Exponential back-off with full jitter: each failure doubles the ceiling of the wait, and the wait is
//! drawn evenly from nothing up to the ceiling, so that many nodes do not come back in step.

use std::time::Duration;

/// Counts failures in a row and says how long to wait after each.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts with no failure. The first ceiling is `base`, the largest is `cap`.
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, failures: 0 }
    }

    /// The wait after one more failure.
    pub fn next_delay(&mut self) -> Duration {
        let delay = full_jitter(ceiling(self.base, self.cap, self.failures), fastrand::f64());
        self.failures = self.failures.saturating_add(1);
        delay
    }

    /// Failures since the start or the last [`Backoff::reset`].
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Forgets the failures, after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// The longest wait after `failures` earlier failures: `base` doubled as often, at most `cap`.
pub fn ceiling(base: Duration, cap: Duration, failures: u32) -> Duration {
    let factor = 1_u32.checked_shl(failures.min(31)).unwrap_or(u32::MAX);
    base.checked_mul(factor).map_or(cap, |grown| grown.min(cap))
}

/// The part of `ceiling` that `draw`, a number from 0 to 1, stands for.
pub fn full_jitter(ceiling: Duration, draw: f64) -> Duration {
    ceiling.mul_f64(draw.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_ceiling_doubles_up_to_the_cap_and_never_overflows() {
        let ceilings: Vec<u64> = (0..8).map(|n| ceiling(SECOND, 60 * SECOND, n).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(ceiling(Duration::MAX, 60 * SECOND, u32::MAX), 60 * SECOND);
    }

    #[test]
    fn jitter_covers_everything_from_nothing_to_the_ceiling() {
        assert_eq!(full_jitter(SECOND, 0.0), Duration::ZERO);
        assert_eq!(full_jitter(SECOND, 0.25), Duration::from_millis(250));
        assert_eq!(full_jitter(SECOND, 7.0), SECOND, "draws are clamped");
    }

    #[test]
    fn a_success_starts_again_at_the_base() {
        let mut backoff = Backoff::new(SECOND, 60 * SECOND);
        for _ in 0..20 {
            assert!(backoff.next_delay() <= 60 * SECOND);
        }
        assert_eq!(backoff.failures(), 20);
        backoff.reset();
        assert!(backoff.next_delay() <= SECOND);
    }
}
