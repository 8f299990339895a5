//! When machine tokens are renewed.

use std::time::Duration;

/// When machine tokens are renewed (protocol 2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TokenSettings {
    /// The part of a token's lifetime after which it is renewed, 0 to 1.
    pub(crate) safety_ratio: f64,
    /// Failed logins that a caller waits through before it gets an error.
    pub(crate) max_retries: u32,
    /// How far the renewal is spread around its moment, and the first wait after a failed login.
    pub(crate) jitter: Duration,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self { safety_ratio: 0.75, max_retries: 3, jitter: Duration::from_millis(500) }
    }
}
