//! How a wallet's registration is repeated.

use std::time::Duration;

/// How a wallet's registration is repeated (protocol 1.5 and 1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RegistrationSettings {
    /// The wait after a conflict and after a failure that only people can mend.
    pub(crate) interval: Duration,
    /// Consecutive retryable failures after which the node waits for an interval; none for no limit.
    pub(crate) max_retry: Option<u32>,
}

impl Default for RegistrationSettings {
    fn default() -> Self {
        Self { interval: Duration::from_secs(120), max_retry: None }
    }
}
