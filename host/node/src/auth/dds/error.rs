//! The calls to DDS and how they fail.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;

use crate::auth::login::{LoginError, LoginErrorKind};
use crate::auth::siwe::SigningRefusal;
use posemesh_net::retry::is_transient;

/// A call to DDS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DdsCall {
    /// Asks for a nonce.
    Nonce,
    /// Logs a wallet in.
    Verify,
    /// Registers a wallet.
    RegisterWallet,
    /// Registers a robot and logs it in.
    RegisterRobot,
    /// Logs a robot in.
    VerifyRobot,
}

impl DdsCall {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Nonce => "internal/v1/auth/siwe/request",
            Self::Verify => "internal/v1/auth/siwe/verify",
            Self::RegisterWallet => "internal/v1/nodes/register-wallet",
            Self::RegisterRobot => "internal/v1/robots/register",
            Self::VerifyRobot => "internal/v1/auth/robot/verify",
        }
    }
}

impl fmt::Display for DdsCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "POST /{}", self.path())
    }
}

/// Why a call failed. Holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DdsError {
    /// The client or a request could not be made.
    #[error("set up the client for DDS: {0}")]
    Setup(String),
    /// No answer.
    #[error("{call}: {cause}")]
    Transport {
        /// Which call failed.
        call: DdsCall,
        /// The chain of causes.
        cause: String,
    },
    /// An answer that is not 2xx.
    #[error("{call}: DDS answered {status}{}{excerpt}", if excerpt.is_empty() { "" } else { ": " })]
    Status {
        /// Which call failed.
        call: DdsCall,
        /// The status of the answer.
        status: StatusCode,
        /// The start of a plain-text body with secrets masked; empty for other bodies.
        excerpt: String,
        /// How long DDS wants to be left alone, if it said.
        retry_after: Option<Duration>,
    },
    /// A 2xx answer whose body is not what the protocol says.
    #[error("{call}: {what}")]
    Answer {
        /// Which call failed.
        call: DdsCall,
        /// What is wrong with the body.
        what: String,
    },
    /// The node does not sign what DDS wants.
    #[error(transparent)]
    Refused(#[from] SigningRefusal),
    /// The wallet could not sign.
    #[error("sign the message for DDS: {0}")]
    Sign(String),
}

impl DdsError {
    /// The status of the answer, if there was one that is not 2xx.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// How long DDS wants to be left alone, if it said.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether `call` was answered with one of these statuses.
    pub(crate) fn answered(&self, wanted: DdsCall, statuses: &[u16]) -> bool {
        matches!(self, Self::Status { call, status, .. }
            if *call == wanted && statuses.contains(&status.as_u16()))
    }

    /// Whether the same call may do better in a moment (protocol 1.4, retryable).
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Answer { .. } => true,
            Self::Status { status, .. } => is_transient(*status),
            Self::Setup(_) | Self::Refused(_) | Self::Sign(_) => false,
        }
    }
}

impl From<DdsError> for LoginError {
    fn from(error: DdsError) -> Self {
        let kind = if error.is_transient() { LoginErrorKind::Transient } else { LoginErrorKind::Refused };
        Self { kind, reason: error.to_string(), retry_after: error.retry_after() }
    }
}
