//! When a request is repeated, and how long to wait before it.

use std::time::Duration;

use posemesh_net::retry::{self, Backoff, Jitter};
use reqwest::StatusCode;

/// How often a request is repeated, and after which waits.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; `None` for as many as it takes. A node has no bound: a server that is away
    /// for a minute must not cost a task an attempt, and the task's end (its lease, its deadline) ends every wait.
    pub attempts: Option<u32>,
    /// The wait after the first failure; it doubles with each further one.
    pub base: Duration,
    /// The longest wait that doubling leads to.
    pub max: Duration,
    /// The longest wait that a server can ask for with `Retry-After`.
    pub retry_after_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: None,
            base: Duration::from_millis(250),
            max: Duration::from_secs(20),
            retry_after_max: Duration::from_secs(300),
        }
    }
}

impl RetryPolicy {
    /// The wait after so many attempts that failed, at least what the server asked for; `None` if there is to be no
    /// further attempt.
    pub(crate) fn wait_after(&self, attempts: u32, retry_after: Option<Duration>) -> Option<Duration> {
        if self.attempts.is_some_and(|most| attempts >= most) {
            return None;
        }
        // The server can lengthen the wait, never shorten it: a `Retry-After: 0` must not lead to a busy loop.
        let asked = retry_after.unwrap_or_default().min(self.retry_after_max);
        // A server tells all its callers the same: spread, so that they don't come back at the same moment.
        let asked = retry::uniform(asked, asked + asked / 10);
        Some(self.backoff(attempts).max(asked))
    }

    /// Exponential with jitter: from half of `base` to all of it, doubled for each failure after the first.
    pub(crate) fn backoff(&self, failures: u32) -> Duration {
        // Not the full jitter: a draw close to zero would use up an attempt while the fault still lasts.
        Backoff::new(self.base, self.max, Jitter::UPPER_HALF).delay_after(failures, fastrand::f64())
    }
}

/// Whether the same request may succeed later. 501 and 505 are not transient here: a server that lacks a call, or speaks
/// another HTTP, will do so at the next attempt as well, and the task should not wait for it.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    let lasts = [StatusCode::NOT_IMPLEMENTED, StatusCode::HTTP_VERSION_NOT_SUPPORTED];
    retry::is_transient(status) && !lasts.contains(&status)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_maximum_and_vary_by_half() {
        let policy = RetryPolicy { max: Duration::from_secs(1), ..RetryPolicy::default() };
        for (failures, nominal) in [(1, 250), (2, 500), (3, 1000), (4, 1000), (4_000_000, 1000)] {
            let wait = policy.backoff(failures).as_millis();
            assert!((nominal / 2..=nominal).contains(&wait), "{failures} failures: {wait} ms");
        }
    }

    #[test]
    fn a_wish_of_the_server_lengthens_the_wait_up_to_a_bound_and_is_spread() {
        let policy = RetryPolicy::default();
        let seconds = Duration::from_secs;
        for (asked, low, high) in [(60, 60, 66), (100_000, 300, 330), (0, 0, 1)] {
            let wait = policy.wait_after(1, Some(seconds(asked))).unwrap();
            assert!((seconds(low)..=seconds(high)).contains(&wait), "{asked} s were asked for: {wait:?}");
        }
        assert!(policy.wait_after(100_000, None).is_some(), "there is no last attempt");
        let bounded = RetryPolicy { attempts: Some(2), ..policy };
        assert!(bounded.wait_after(1, None).is_some() && bounded.wait_after(2, None).is_none());
    }

    #[test]
    fn only_what_passes_is_tried_again() {
        for (status, want) in [
            (408, true),
            (429, true),
            (500, true),
            (503, true),
            (501, false),
            (505, false),
            (404, false),
            (413, false),
        ] {
            assert_eq!(is_transient(StatusCode::from_u16(status).unwrap()), want, "{status}");
        }
    }
}
