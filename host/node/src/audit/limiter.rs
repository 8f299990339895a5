//! Lets so many things pass in a time, and counts those that it does not.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many pass at once.
const BURST: u32 = 20;
/// In which time one more may.
const INTERVAL: Duration = Duration::from_secs(1);

/// A bucket that fills with time.
#[derive(Debug, Default)]
pub(super) struct Limiter(Mutex<Bucket>);

#[derive(Debug, Default)]
struct Bucket {
    /// How many have passed that the time has not made up for yet.
    used: u32,
    since: Option<Instant>,
    left_out: u64,
}

impl Limiter {
    /// Whether one may pass now, and how many were left out since the last one that did.
    pub(super) fn pass(&self) -> Option<u64> {
        self.pass_at(Instant::now())
    }

    fn pass_at(&self, now: Instant) -> Option<u64> {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *bucket.since.get_or_insert(now);
        let made_up = now.saturating_duration_since(since).as_secs() / INTERVAL.as_secs();
        if made_up > 0 {
            bucket.used = bucket.used.saturating_sub(u32::try_from(made_up).unwrap_or(u32::MAX));
            bucket.since = Some(now);
        }
        if bucket.used >= BURST {
            bucket.left_out = bucket.left_out.saturating_add(1);
            return None;
        }
        bucket.used += 1;
        Some(std::mem::take(&mut bucket.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_pass_is_told_with_what_does() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        let passed = (0..100).filter(|_| limiter.pass_at(now).is_some()).count();
        assert_eq!(passed, BURST as usize);
        assert_eq!(limiter.pass_at(now + INTERVAL), Some(80));
        assert_eq!(limiter.pass_at(now + INTERVAL), None);
        assert_eq!(limiter.pass_at(now + 30 * INTERVAL), Some(1));
    }
}
