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
