//! When a request is made again: which failures pass, what the server asked for, and how long to wait.

use std::time::Duration;

use ::http::StatusCode;
use ::http::header::{HeaderMap, RETRY_AFTER};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::clock::server_date;

/// The most doublings that are computed: any ceiling is reached long before.
const MAX_DOUBLINGS: u32 = 24;

/// Which part of the ceiling a wait is drawn from. Without a spread, nodes that lost the same server would
/// all come back at the same moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter {
    low: f64,
    high: f64,
}

impl Jitter {
    /// From nothing to the whole ceiling: for many clients of one server.
    pub const FULL: Self = Self { low: 0.0, high: 1.0 };
    /// From half of the ceiling to all of it: for waits that must not be too short.
    pub const UPPER_HALF: Self = Self { low: 0.5, high: 1.0 };
    /// A fifth more or less than the nominal wait: where the protocol names a wait (1.6).
    pub const FIFTH: Self = Self { low: 0.8, high: 1.2 };

    /// The wait that a random number from 0 to 1 stands for.
    fn apply(self, ceiling: Duration, draw: f64) -> Duration {
        // `mul_f64` panics on a negative or infinite factor: the clamp keeps a caller's draw out of that.
        ceiling.mul_f64(self.low + draw.clamp(0.0, 1.0) * (self.high - self.low))
    }
}

/// Exponential back-off: the ceiling of the wait doubles with each failure in a row, and the wait is drawn
/// from the part of it that the [`Jitter`] names.
///
/// ```
/// use std::time::Duration;
/// use posemesh_net::retry::{Backoff, Jitter};
///
/// let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30), Jitter::UPPER_HALF);
/// let first = backoff.next_delay();
/// assert!(first >= Duration::from_millis(500) && first <= Duration::from_secs(1));
/// assert!(backoff.next_delay() >= Duration::from_secs(1), "the second ceiling is two seconds");
/// backoff.reset();
/// assert!(backoff.next_delay() <= Duration::from_secs(1), "a success starts it over");
/// ```
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    jitter: Jitter,
    failures: u32,
}

impl Backoff {
    /// No failure yet. The first ceiling is `base`, the largest is `max`.
    pub const fn new(base: Duration, max: Duration, jitter: Jitter) -> Self {
        Self { base, max, jitter, failures: 0 }
    }

    /// Counts a failure, and says how long to wait after it.
    pub fn next_delay(&mut self) -> Duration {
        // Saturates: an outage may last longer than any counter, and the wait is at its ceiling long before.
        self.failures = self.failures.saturating_add(1);
        self.delay_after(self.failures, fastrand::f64())
    }

    /// The wait after so many failures in a row, from 1; `draw` is from 0 to 1. For callers that count
    /// themselves, and for tests.
    pub fn delay_after(&self, failures: u32, draw: f64) -> Duration {
        // Shifting by the full width would overflow, so the number of doublings is bounded first.
        let factor = 1_u32 << failures.saturating_sub(1).min(MAX_DOUBLINGS);
        self.jitter.apply(self.base.saturating_mul(factor).min(self.max), draw)
    }

    /// Forgets the failures: it worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A uniformly random duration in `[low, high]`, to the microsecond. A reversed range is its lower end.
pub fn uniform(low: Duration, high: Duration) -> Duration {
    // Saturates, so that a reversed range is an empty span and not a panic.
    let span = u64::try_from(high.saturating_sub(low).as_micros()).unwrap_or(u64::MAX);
    low.saturating_add(Duration::from_micros(fastrand::u64(0..=span)))
}

/// Whether an answer with this status reports a trouble that passes: 408, 425, 429 and every 5xx.
pub fn is_transient(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

/// How long the server wants to be left alone (`Retry-After`), at most `max`.
///
/// The header holds seconds or a date. A date means something by the server's own clock only, so without
/// its `Date` header it is not believed. A date that has passed asks for nothing.
pub fn retry_after(headers: &HeaderMap, max: Duration) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = OffsetDateTime::parse(text, &Rfc2822).ok()?;
            // A negative difference does not convert: a moment that has passed is no wish for a wait.
            Duration::try_from(until - server_date(headers)?).ok()?
        }
    };
    // A server that asks for a day would otherwise hold the caller for a day.
    Some(wait.min(max))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ::http::header::DATE;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn ceilings_double_up_to_the_maximum_and_never_overflow() {
        let backoff = Backoff::new(SECOND, 60 * SECOND, Jitter::FULL);
        let ceilings: Vec<u64> = (1..9).map(|n| backoff.delay_after(n, 1.0).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 60, 60]);
        let endless = Backoff::new(Duration::MAX, 60 * SECOND, Jitter::FULL);
        assert_eq!(endless.delay_after(u32::MAX, 1.0), 60 * SECOND);
        assert_eq!(Backoff::new(Duration::ZERO, SECOND, Jitter::FULL).delay_after(9, 1.0), Duration::ZERO);
    }

    #[test]
    fn each_jitter_draws_from_its_part_of_the_ceiling() {
        for (jitter, low, high) in
            [(Jitter::FULL, 0, 1000), (Jitter::UPPER_HALF, 500, 1000), (Jitter::FIFTH, 800, 1200)]
        {
            let backoff = Backoff::new(SECOND, SECOND, jitter);
            assert_eq!(backoff.delay_after(1, 0.0).as_millis(), low);
            assert_eq!(backoff.delay_after(1, 1.0).as_millis(), high);
            assert_eq!(backoff.delay_after(1, 7.0).as_millis(), high, "draws are clamped");
        }
    }

    #[test]
    fn a_success_starts_again_at_the_base() {
        let mut backoff = Backoff::new(SECOND, 60 * SECOND, Jitter::UPPER_HALF);
        for _ in 0..20 {
            assert!(backoff.next_delay() <= 60 * SECOND);
        }
        assert!(backoff.next_delay() >= 30 * SECOND);
        backoff.reset();
        assert!(backoff.next_delay() <= SECOND);
    }

    #[test]
    fn uniform_reaches_both_halves_of_its_range() {
        let draws: Vec<_> = (0..200).map(|_| uniform(SECOND, 3 * SECOND)).collect();
        assert!(draws.iter().all(|draw| (SECOND..=3 * SECOND).contains(draw)));
        assert!(draws.iter().any(|draw| *draw < 2 * SECOND) && draws.iter().any(|draw| *draw > 2 * SECOND));
        assert_eq!(uniform(SECOND, Duration::ZERO), SECOND, "a reversed range is its lower end");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_by_the_clock_of_the_server() {
        let asked = |text: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            if let Some(date) = date {
                headers.insert(DATE, date.parse().unwrap());
            }
            retry_after(&headers, 600 * SECOND)
        };
        let now = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(asked(" 7 ", None), Some(7 * SECOND));
        assert_eq!(asked("86400", None), Some(600 * SECOND), "no longer than the caller allows");
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:07 GMT", now), Some(30 * SECOND));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:00 GMT", now), None, "a moment that has passed");
        assert_eq!(asked("Sun, 06 Nov 2194 08:49:37 GMT", None), None, "a date without a clock");
        assert_eq!(asked("soon", now), None);
        assert_eq!(retry_after(&HeaderMap::new(), SECOND), None);
    }

    #[test]
    fn only_what_passes_is_transient() {
        for (status, want) in [
            (408, true),
            (425, true),
            (429, true),
            (500, true),
            (503, true),
            (400, false),
            (404, false),
            (413, false),
            (302, false),
        ] {
            assert_eq!(is_transient(StatusCode::from_u16(status).unwrap()), want, "{status}");
        }
    }
}
