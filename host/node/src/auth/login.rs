//! Logins as the token manager sees them: one can be tried, and it gives a token or an error.

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
pub(crate) enum LoginError {
    /// The network, a server error, or an answer that is not what the protocol says.
    #[error("{0}")]
    Transient(String),
    /// DDS refused, or the node does not sign what DDS asks for.
    #[error("{0}")]
    Refused(String),
}
