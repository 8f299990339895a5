//! What a lease needs of the job server, in the node's own terms.
//!
//! The DMS client is the implementation in the product; tests script one in memory. What a failed call
//! means is decided here, once: leases, heartbeats and the engine know nothing of HTTP.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use uuid::Uuid;

use crate::dms::{Class, DmsClient, DmsError};
pub use crate::dms::{HeartbeatAnswer, Lease, LeaseAnswer};

/// The job server as a lease sees it. Each request ends by itself within the request timeout, and a
/// fresh machine token was already tried when the first was refused (protocol 3.1).
#[async_trait]
pub trait LeaseServer: Send + Sync {
    /// Asks for work (protocol 3.2).
    async fn lease(&self) -> Result<LeaseAnswer, ServerError>;

    /// Reports progress and events, and extends the lease (protocol 3.4).
    async fn heartbeat(
        &self,
        task_id: Uuid,
        progress: &Value,
        events: &[Value],
    ) -> Result<HeartbeatAnswer, ServerError>;

    /// Ends a lease with its result (protocol 3.5).
    async fn complete(&self, task_id: Uuid, body: &Value) -> Result<(), ServerError>;

    /// Ends a lease with a reason (protocol 3.6).
    async fn fail(&self, task_id: Uuid, reason: &str, details: &Value) -> Result<(), ServerError>;
}

/// Why a call to the job server failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ServerError {
    /// What follows from it.
    pub kind: ServerErrorKind,
    /// What was attempted and how it failed, without bodies and secrets.
    pub text: String,
}

/// What follows from a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerErrorKind {
    /// It may work later: 408, 429, 5xx, a refused connection, no machine token just now.
    Retryable {
        /// How long the server wants us to wait.
        retry_after: Option<Duration>,
        /// Whether the server may have done what was asked: the answer timed out or was cut off.
        outcome_unknown: bool,
    },
    /// The machine token is refused, a fresh one too. May work once the node is registered again.
    Unauthorized,
    /// The lease is not ours any more: 403, 404, 409, 410 on a task.
    Lost,
    /// The same request will never work: 400, 413, 422.
    Fatal,
}

#[async_trait]
impl LeaseServer for DmsClient {
    async fn lease(&self) -> Result<LeaseAnswer, ServerError> {
        Ok(Self::lease(self).await?)
    }

    async fn heartbeat(
        &self,
        task_id: Uuid,
        progress: &Value,
        events: &[Value],
    ) -> Result<HeartbeatAnswer, ServerError> {
        Ok(Self::heartbeat(self, task_id, progress, events).await?)
    }

    async fn complete(&self, task_id: Uuid, body: &Value) -> Result<(), ServerError> {
        Ok(Self::complete(self, task_id, body).await?)
    }

    async fn fail(&self, task_id: Uuid, reason: &str, details: &Value) -> Result<(), ServerError> {
        Ok(Self::fail(self, task_id, reason, details).await?)
    }
}

impl From<DmsError> for ServerError {
    fn from(error: DmsError) -> Self {
        let status = error.status().map(|status| status.as_u16());
        let kind = match error.classify() {
            Class::Lost => ServerErrorKind::Lost,
            Class::Fatal => ServerErrorKind::Fatal,
            Class::Retryable if status == Some(401) => ServerErrorKind::Unauthorized,
            Class::Retryable => ServerErrorKind::Retryable {
                retry_after: error.retry_after(),
                outcome_unknown: error.may_have_arrived(),
            },
        };
        Self { kind, text: error.to_string() }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use reqwest::StatusCode;

    use super::*;
    use crate::dms::DmsCall;

    fn kind(error: DmsError) -> ServerErrorKind {
        ServerError::from(error).kind
    }

    #[test]
    fn statuses_become_what_follows_from_them() {
        let status = |status| {
            let status = StatusCode::from_u16(status).unwrap();
            kind(DmsError::Status { call: DmsCall::Lease, status, retry_after: None })
        };
        let retryable = |outcome_unknown| ServerErrorKind::Retryable { retry_after: None, outcome_unknown };
        assert_eq!(status(409), ServerErrorKind::Lost);
        assert_eq!(status(401), ServerErrorKind::Unauthorized);
        assert_eq!(status(400), ServerErrorKind::Fatal);
        assert_eq!(status(500), retryable(false));
        assert_eq!(status(504), retryable(true), "what is behind the gateway may have done it");
    }

    #[test]
    fn a_refused_connection_did_nothing_and_a_timeout_may_have() {
        for sent in [false, true] {
            let error = DmsError::Transport { call: DmsCall::Lease, sent, cause: "timed out".to_owned() };
            let expected = ServerErrorKind::Retryable { retry_after: None, outcome_unknown: sent };
            assert_eq!(kind(error), expected);
        }
    }
}
