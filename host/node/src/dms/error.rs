//! How calls to the job server fail, and what that means for a lease (protocol 3.1).

use std::time::Duration;

use posemesh_net::http::BodyError;
use posemesh_net::json::JsonError;
use posemesh_net::retry::is_transient;
use reqwest::StatusCode;

use crate::auth::AuthError;
use crate::dms::call::DmsCall;

/// Why a call to the job server failed. Holds no body and no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct JobServerError {
    /// What follows from it for the lease.
    pub(crate) kind: JobServerErrorKind,
    /// What was attempted and how it failed, for logs and for `fail`.
    pub(crate) text: String,
}

/// What follows from a failed call (protocol 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobServerErrorKind {
    /// The same call may succeed later: a transient status, no connection, an answer that was cut off, no
    /// machine token at the moment.
    Retryable {
        /// How long the server wants to be left alone, if it said; an hour at most.
        retry_after: Option<Duration>,
        /// Whether the server may have done what was asked although no answer says so.
        outcome_unknown: bool,
    },
    /// The machine token was refused, and a new one too. May succeed once the node is registered again.
    Unauthorized,
    /// The lease does not belong to this node any more.
    Lost,
    /// Perhaps the lease does not belong to this node any more, perhaps an ingress on the way answers so while DMS is
    /// being replaced. To be believed when it is said again.
    PerhapsLost,
    /// The request is larger than the server takes: a smaller one may be accepted.
    TooLarge,
    /// The same call would fail again, or the node is stopping.
    Fatal,
}

impl JobServerError {
    /// No answer came in time: the server may have done what was asked.
    pub(crate) fn unanswered(text: String) -> Self {
        Self { kind: JobServerErrorKind::Retryable { retry_after: None, outcome_unknown: true }, text }
    }

    /// How long the server wants to be left alone, if it said.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            JobServerErrorKind::Retryable { retry_after, .. } => retry_after,
            JobServerErrorKind::Unauthorized
            | JobServerErrorKind::Lost
            | JobServerErrorKind::PerhapsLost
            | JobServerErrorKind::TooLarge
            | JobServerErrorKind::Fatal => None,
        }
    }

    /// The request could not be made at all.
    pub(super) fn setup(text: impl std::fmt::Display) -> Self {
        Self { kind: JobServerErrorKind::Fatal, text: format!("set up the client for DMS: {text}") }
    }

    /// There is no machine token to call with.
    pub(crate) fn auth(call: DmsCall, error: &AuthError) -> Self {
        let kind = match error {
            // The token's refresher stops for good: no later call would get a token.
            AuthError::Stopped => JobServerErrorKind::Fatal,
            // Nothing was sent, and trouble with the token says nothing about the lease.
            AuthError::Unavailable(_) | AuthError::Refused(_) => {
                JobServerErrorKind::Retryable { retry_after: None, outcome_unknown: false }
            }
        };
        Self { kind, text: format!("{call}: {error}") }
    }

    /// The request got no answer. Without a connection (`sent` is false) DMS can't have received it.
    pub(crate) fn transport(call: DmsCall, sent: bool, cause: &str) -> Self {
        let kind = JobServerErrorKind::Retryable { retry_after: None, outcome_unknown: sent };
        Self { kind, text: format!("{call}: {cause}") }
    }

    /// An answer that is not 2xx.
    pub(crate) fn status(call: DmsCall, status: StatusCode, retry_after: Option<Duration>) -> Self {
        let kind = match status.as_u16() {
            // Only DMS says these: asking again can't bring the lease back.
            409 | 410 => JobServerErrorKind::Lost,
            // DMS says these too, but so does whatever stands in front of it, about any path, while DMS is away.
            403 | 404 => JobServerErrorKind::PerhapsLost,
            413 => JobServerErrorKind::TooLarge,
            // The client has tried a second token by now. No lost lease: it is the machine token that is refused.
            401 => JobServerErrorKind::Unauthorized,
            _ if is_transient(status) => JobServerErrorKind::Retryable {
                retry_after,
                // A proxy in between may have stopped waiting for an answer that DMS went on to make (some have
                // statuses of their own from 520 on), and DMS may have failed after it had acted.
                outcome_unknown: matches!(status.as_u16(), 408 | 500 | 502 | 504 | 520..),
            },
            // Any 3xx is among these: redirects are never followed (protocol 0).
            _ => JobServerErrorKind::Fatal,
        };
        Self { kind, text: format!("{call}: DMS answered {status}") }
    }

    /// A 2xx whose body did not arrive whole.
    pub(super) fn body(call: DmsCall, error: &BodyError) -> Self {
        // By its status the request was carried out; only what the server said about it is lost.
        Self::unanswered(format!("{call}: {error}"))
    }

    /// A 2xx whose body can't be read.
    pub(crate) fn decode(call: DmsCall, error: &JsonError) -> Self {
        // Something between the node and DMS may have written this, so it proves neither success nor refusal.
        Self::unanswered(format!("{call}: {error}"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const CALL: DmsCall = DmsCall::Lease;

    fn kind_of(status: u16) -> JobServerErrorKind {
        JobServerError::status(CALL, StatusCode::from_u16(status).unwrap(), None).kind
    }

    fn retryable(outcome_unknown: bool) -> JobServerErrorKind {
        JobServerErrorKind::Retryable { retry_after: None, outcome_unknown }
    }

    #[test]
    fn statuses_mean_what_they_mean_for_the_lease() {
        for (kind, statuses) in [
            (JobServerErrorKind::Lost, &[409_u16, 410][..]),
            (JobServerErrorKind::PerhapsLost, &[403, 404]),
            (JobServerErrorKind::TooLarge, &[413]),
            (JobServerErrorKind::Unauthorized, &[401]),
            (retryable(false), &[425, 429, 501, 503]),
            (retryable(true), &[408, 500, 502, 504, 520, 524]),
            (JobServerErrorKind::Fatal, &[301, 400, 415, 422]),
        ] {
            for status in statuses {
                assert_eq!(kind_of(*status), kind, "{status}");
            }
        }
    }

    #[test]
    fn a_missing_machine_token_is_waited_for_unless_the_node_is_stopping() {
        assert_eq!(JobServerError::auth(CALL, &AuthError::Stopped).kind, JobServerErrorKind::Fatal);
        let down = AuthError::Unavailable("down".into());
        assert_eq!(JobServerError::auth(CALL, &down).kind, retryable(false));
    }

    #[test]
    fn a_refused_connection_did_nothing_and_a_timeout_may_have() {
        for sent in [false, true] {
            assert_eq!(JobServerError::transport(CALL, sent, "timed out").kind, retryable(sent));
        }
    }

    #[test]
    fn errors_name_method_and_path() {
        let call = DmsCall::Complete(Uuid::nil());
        let error = JobServerError::status(call, StatusCode::BAD_GATEWAY, None);
        assert_eq!(
            error.to_string(),
            "POST /tasks/00000000-0000-0000-0000-000000000000/complete: DMS answered 502 Bad Gateway"
        );
    }
}
