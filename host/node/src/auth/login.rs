//! What the token manager knows of logins: that one can be tried, and what comes of it.

use async_trait::async_trait;
use time::OffsetDateTime;

use posemesh_net::secret::Secret;

/// A way to get a machine token.
#[async_trait]
pub trait Login: Send + Sync + 'static {
    /// Tries once. May wait before it does, for the node to be registered. Dropping it gives up.
    ///
    /// # Errors
    /// With the kind of failure, which sets the pace of the next tries.
    async fn login(&self) -> Result<Session, LoginError>;

    /// Returns when a login is wanted before the token is due, since something changed that DDS should
    /// know. By default never.
    async fn wanted(&self) {
        std::future::pending().await
    }
}

/// A machine token with its lifetime.
#[derive(Debug, Clone)]
pub struct Session {
    /// The bearer.
    pub token: Secret,
    /// When it ends, by the clock of DDS.
    pub expires_at: OffsetDateTime,
    /// What the clock of DDS showed when it answered, if it said.
    pub server_date: Option<OffsetDateTime>,
}

/// Why a login failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The network, a server error, or an answer that made no sense.
    #[error("{0}")]
    Transient(String),
    /// DDS said no, or the node won't sign what DDS wants.
    #[error("{0}")]
    Refused(String),
}
