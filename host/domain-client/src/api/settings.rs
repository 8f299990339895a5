//! Times and retries of requests.

use std::time::Duration;

use crate::api::retry::RetryPolicy;

/// Times and retries of every request to a domain server (protocol 6).
#[derive(Debug, Clone)]
pub struct RequestSettings {
    /// Time for a connection to be established.
    pub connect_timeout: Duration,
    /// Time between the end of a request and the head of its answer.
    pub first_byte_timeout: Duration,
    /// Time that a transfer may make no progress, in either direction.
    pub idle_timeout: Duration,
    /// Time for a small answer (JSON), from its head to its end.
    pub answer_timeout: Duration,
    /// Time to wait for a rotated task token when the server refuses the current one.
    pub token_wait: Duration,
    /// When a request is repeated.
    pub retry: RetryPolicy,
    /// Time for which an answer to `GET /api/v1/info` is used (protocol 6.7).
    pub info_ttl: Duration,
    /// Time for which a failure of that request counts as "no info".
    pub info_failure_ttl: Duration,
}

/// Added to the longest of the timeouts, so that they run out before the kernel gives a connection up.
const KERNEL_MARGIN: Duration = Duration::from_secs(60);

impl RequestSettings {
    /// The time for the head of the answer to a request for which the server has much to do.
    pub(crate) fn long_first_byte_timeout(&self) -> Duration {
        self.first_byte_timeout.saturating_mul(4)
    }

    /// How long a connection may be without a sign of life from its peer before the kernel ends it. The timeouts here
    /// are what counts; without a value the kernel would end it after a quarter of an hour or less.
    pub(crate) fn longest_silence(&self) -> Duration {
        let longest = self.idle_timeout.max(self.answer_timeout).max(self.long_first_byte_timeout());
        longest.saturating_add(KERNEL_MARGIN)
    }
}

impl Default for RequestSettings {
    fn default() -> Self {
        Self {
            connect_timeout: posemesh_net::http::CONNECT_TIMEOUT,
            first_byte_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(60),
            token_wait: Duration::from_secs(30),
            retry: RetryPolicy::default(),
            info_ttl: Duration::from_secs(60),
            info_failure_ttl: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_gives_a_connection_up_after_every_timeout_of_ours() {
        for seconds in [1, 30, 45, 600, 3600] {
            let time = Duration::from_secs(seconds);
            for settings in [
                RequestSettings { idle_timeout: time, ..RequestSettings::default() },
                RequestSettings { first_byte_timeout: time, ..RequestSettings::default() },
                RequestSettings { answer_timeout: time, ..RequestSettings::default() },
            ] {
                assert!(settings.longest_silence() > time, "{settings:?}");
                assert!(settings.longest_silence() > settings.long_first_byte_timeout(), "{settings:?}");
            }
        }
    }
}
