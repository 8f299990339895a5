//! Logins as the token manager sees them: one can be tried, and it gives a token or an error.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use posemesh_net::secret::Secret;

/// A way to get a machine token.
#[async_trait]
pub(crate) trait Login: Send + Sync + 'static {
    /// Tries once. May wait until the node is registered before it does. Dropping the future aborts the login.
    ///
    /// # Errors
    /// With the kind of failure, which decides how soon the next login is tried.
    async fn login(&self) -> Result<MachineToken, LoginError>;

    /// Returns when a login is wanted before the token is due, because something changed that the token should
    /// tell DMS. By default never.
    async fn wanted(&self) {
        std::future::pending().await
    }
}

/// A machine token as DDS granted it.
#[derive(Debug, Clone)]
pub(crate) struct MachineToken {
    /// The bearer of requests to DMS.
    pub(crate) token: Secret,
    /// When it ends, by the clock of DDS.
    pub(crate) expires_at: OffsetDateTime,
    /// The time by the clock of DDS when it answered; none if the answer had no `Date` header.
    pub(crate) server_date: Option<OffsetDateTime>,
}

/// Why a login failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct LoginError {
    /// Decides how soon the next login is tried.
    pub(crate) kind: LoginErrorKind,
    /// What was attempted and how it failed.
    pub(crate) reason: String,
    /// How long DDS wants to be left alone, if it said; an hour at most.
    pub(crate) retry_after: Option<Duration>,
}

/// Which kind of trouble a login met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoginErrorKind {
    /// The network, a server error, or an answer that is not what the protocol says.
    Transient,
    /// DDS refused, the node does not sign what DDS asks for, or DMS takes no token of DDS.
    Refused,
}

impl LoginError {
    /// A trouble that passes.
    pub(crate) fn transient(reason: impl Into<String>) -> Self {
        Self { kind: LoginErrorKind::Transient, reason: reason.into(), retry_after: None }
    }

    /// A refusal.
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self { kind: LoginErrorKind::Refused, reason: reason.into(), retry_after: None }
    }
}
