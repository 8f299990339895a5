//! When a request is tried again, and how long to wait before it.

use std::time::Duration;

use reqwest::StatusCode;

use super::error::StorageError;
use posemesh_net::retry::{self as net_retry, Backoff, Jitter};

/// How often and how patiently a request is repeated.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Tries in all, the first included.
    pub attempts: u32,
    /// The wait after the first failure; it doubles with each further one.
    pub base: Duration,
    /// The longest wait that the doubling leads to.
    pub max: Duration,
    /// The longest wait that a server can ask for with `Retry-After`.
    pub retry_after_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            base: Duration::from_millis(250),
            max: Duration::from_secs(10),
            retry_after_max: Duration::from_secs(30),
        }
    }
}

impl RetryPolicy {
    /// The wait before another try after `tried` tries, or none if there is to be no other.
    pub(super) fn wait_after(&self, tried: u32, error: &StorageError) -> Option<Duration> {
        if tried >= self.attempts || !error.is_transient() {
            return None;
        }
        let asked = error.retry_after().map(|wait| wait.min(self.retry_after_max));
        Some(self.backoff(tried).max(asked.unwrap_or_default()))
    }

    /// Exponential with jitter: between half and all of `base`, doubled for each failure after the
    /// first. Without the jitter, nodes that lost the same server would come back in step.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        Backoff::new(self.base, self.max, Jitter::UPPER_HALF).delay_after(failures, fastrand::f64())
    }
}

/// Whether a status tells of something that passes. 501 does not: a server that lacks a call will lack it
/// next time as well, and the task should not wait for it.
pub(super) fn is_transient(status: StatusCode) -> bool {
    net_retry::is_transient(status) && status != StatusCode::NOT_IMPLEMENTED
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
    fn only_what_passes_is_tried_again() {
        for (status, want) in
            [(408, true), (429, true), (500, true), (503, true), (501, false), (404, false), (413, false)]
        {
            assert_eq!(is_transient(StatusCode::from_u16(status).unwrap()), want, "{status}");
        }
    }
}
