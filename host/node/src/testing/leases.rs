//! Leases, answers and errors, as a server would give them.

use std::time::Duration;

use posemesh_net::secret::Secret;
use posemesh_runner_api::failure::{FailureKind, RunFailure};
use posemesh_runner_api::task::Task;
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use crate::dms::{DomainServerUrl, HeartbeatAnswer, JobServerError, JobServerErrorKind, Lease};

/// The TTL of scripted leases.
pub(crate) const TTL: Duration = Duration::from_secs(60);
/// The only capability with a runner.
pub(crate) const CAPABILITY: &str = "/test/v1";

/// A moment of the server's clock, far from the machine's.
pub(crate) fn server_date() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::from_secs(1 << 30)
}

/// A lease for a new task.
pub(crate) fn lease(capability: &str) -> Lease {
    let mut task = Task::new(Uuid::new_v4(), capability);
    task.domain_id = Some(Uuid::new_v4());
    Lease {
        task,
        access_token: Some(Secret::new("token-0")),
        traceparent: None,
        lease_expires_at: Some(server_date() + TTL),
        server_date: Some(server_date()),
        sent: None,
        cancel: false,
        domain_server_url: DomainServerUrl::Valid(Url::parse("https://domain.test").unwrap()),
    }
}

/// An answer that extends the lease by the TTL.
pub(crate) fn extended() -> HeartbeatAnswer {
    HeartbeatAnswer {
        lease_expires_at: Some(server_date() + TTL),
        server_date: Some(server_date()),
        ..HeartbeatAnswer::default()
    }
}

/// An error of this kind.
pub(crate) fn error(kind: JobServerErrorKind) -> JobServerError {
    JobServerError { kind, text: format!("scripted {kind:?}") }
}

/// A 503.
pub(crate) fn broken() -> JobServerError {
    error(JobServerErrorKind::Retryable { retry_after: None, outcome_unknown: false })
}

/// A connection that was cut off before the answer.
pub(crate) fn cut_off() -> JobServerError {
    error(JobServerErrorKind::Retryable { retry_after: None, outcome_unknown: true })
}

/// A 409.
pub(crate) fn lost() -> JobServerError {
    error(JobServerErrorKind::Lost)
}

/// A 404 or 403, which an ingress may have answered.
pub(crate) fn perhaps_lost() -> JobServerError {
    error(JobServerErrorKind::PerhapsLost)
}

/// A runner's failure with this reason.
pub(crate) fn failure(reason: &str) -> RunFailure {
    RunFailure::new(FailureKind::RunnerError, reason)
}
