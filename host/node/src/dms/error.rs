//! The calls to DMS and how they fail.

use std::fmt;
use std::time::Duration;

use http::Method;
use reqwest::StatusCode;
use uuid::Uuid;

use crate::auth::AuthError;
use posemesh_net::http::BodyError;
use posemesh_net::json::JsonError;
use posemesh_net::retry::is_transient;

/// A call to DMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DmsCall {
    /// Asks for a lease.
    Lease,
    /// Extends one.
    Heartbeat(Uuid),
    /// Ends one well.
    Complete(Uuid),
    /// Ends one badly.
    Fail(Uuid),
}

impl DmsCall {
    pub(super) fn method(self) -> Method {
        if self == Self::Lease { Method::GET } else { Method::POST }
    }

    /// The last part of the path, and the task before it.
    pub(super) fn target(self) -> Option<(Uuid, &'static str)> {
        match self {
            Self::Lease => None,
            Self::Heartbeat(id) => Some((id, "heartbeat")),
            Self::Complete(id) => Some((id, "complete")),
            Self::Fail(id) => Some((id, "fail")),
        }
    }
}

impl fmt::Display for DmsCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.target() {
            None => write!(f, "{} /tasks", self.method()),
            Some((id, verb)) => write!(f, "{} /tasks/{id}/{verb}", self.method()),
        }
    }
}

/// What a failed call means for the lease that it was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Try again while the lease lives.
    Retryable,
    /// The lease is gone: nothing can be said about the task any more.
    Lost,
    /// The same call would fail again, or the node stops.
    Fatal,
}

/// Why a call failed. Holds no bodies and no secrets.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DmsError {
    /// The client could not be made.
    #[error("set up the client for DMS: {0}")]
    Setup(String),
    /// There is no machine token to call with.
    #[error("{call}: {source}")]
    Auth {
        /// The call.
        call: DmsCall,
        /// Why not.
        source: AuthError,
    },
    /// No answer.
    #[error("{call}: {cause}")]
    Transport {
        /// The call.
        call: DmsCall,
        /// Whether DMS may have got the request. Without a connection it can't have.
        sent: bool,
        /// The chain of causes.
        cause: String,
    },
    /// An answer that is not 2xx.
    #[error("{call}: DMS answered {status}")]
    Status {
        /// The call.
        call: DmsCall,
        /// What it was answered.
        status: StatusCode,
        /// When DMS wants to be asked again, if it said.
        retry_after: Option<Duration>,
    },
    /// A 2xx whose body did not arrive.
    #[error("{call}: {cause}")]
    Body {
        /// The call.
        call: DmsCall,
        /// Why not.
        cause: String,
    },
    /// A 2xx that makes no sense.
    #[error("{call}: {source}")]
    Decode {
        /// The call.
        call: DmsCall,
        /// What is wrong with it.
        source: JsonError,
    },
}

impl DmsError {
    /// What it means for the lease.
    pub fn classify(&self) -> Class {
        match self {
            Self::Status { status, .. } => match status.as_u16() {
                403 | 404 | 409 | 410 => Class::Lost,
                // A new login may be accepted in a moment.
                401 => Class::Retryable,
                _ if is_transient(*status) => Class::Retryable,
                _ => Class::Fatal,
            },
            Self::Setup(_) | Self::Auth { source: AuthError::Stopped, .. } => Class::Fatal,
            Self::Auth { .. } | Self::Transport { .. } | Self::Body { .. } | Self::Decode { .. } => {
                Class::Retryable
            }
        }
    }

    /// The status of the answer, if there was one that is not 2xx.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// When DMS wants to be asked again, if it said; an hour at most.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether DMS may have done what was asked although nobody said so: the answer did not arrive, or a
    /// proxy in between gave up waiting for it.
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Self::Transport { sent, .. } => *sent,
            Self::Body { .. } | Self::Decode { .. } => true,
            Self::Status { status, .. } => matches!(status.as_u16(), 408 | 502 | 504),
            Self::Setup(_) | Self::Auth { .. } => false,
        }
    }

    pub(super) fn body(call: DmsCall, error: &BodyError) -> Self {
        Self::Body { call, cause: error.to_string() }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn statuses_mean_what_they_mean_for_the_lease() {
        for (class, statuses) in [
            (Class::Lost, &[403_u16, 404, 409, 410][..]),
            (Class::Retryable, &[401, 408, 425, 429, 500, 502, 503, 504]),
            (Class::Fatal, &[301, 400, 413, 415, 422]),
        ] {
            for status in statuses {
                let status = StatusCode::from_u16(*status).unwrap();
                let error = DmsError::Status { call: DmsCall::Lease, status, retry_after: None };
                assert_eq!(error.classify(), class, "{status}");
            }
        }
        let auth = |source| DmsError::Auth { call: DmsCall::Lease, source }.classify();
        assert_eq!(auth(AuthError::Stopped), Class::Fatal);
        assert_eq!(auth(AuthError::Unavailable("down".into())), Class::Retryable);
    }

    #[test]
    fn errors_name_method_and_path() {
        let call = DmsCall::Complete(Uuid::nil());
        let error = DmsError::Status { call, status: StatusCode::BAD_GATEWAY, retry_after: None };
        assert_eq!(
            error.to_string(),
            "POST /tasks/00000000-0000-0000-0000-000000000000/complete: DMS answered 502 Bad Gateway"
        );
    }
}
