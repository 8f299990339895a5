//! Who the node is towards DDS and DMS: its wallet, what it signs, the DDS client, and the machine token
//! (protocol 1 and 2). Which login is used, and when, is decided in [`crate::registration`].

pub mod dds;
pub mod login;
#[cfg(test)]
pub(crate) mod mock;
pub mod siwe;
pub mod token;
pub mod wallet;

use async_trait::async_trait;

use posemesh_net::secret::Secret;

/// The bearer of requests to DMS: the machine token, never a task's.
#[async_trait]
pub trait MachineAuth: Send + Sync {
    /// A token that is valid as far as is known. Waits while a login is under way; give up by dropping.
    ///
    /// # Errors
    /// When logins keep failing, or after the node has stopped.
    async fn bearer(&self) -> Result<Secret, AuthError>;

    /// DMS answered 401 to `refused`: the next [`MachineAuth::bearer`] gives another one. Does nothing
    /// if there is a newer token already.
    fn on_unauthorized(&self, refused: &Secret);

    /// DMS answered 403 to a request for a lease: the node may not be registered any more.
    fn on_forbidden(&self) {}
}

/// Why there is no machine token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// DDS can't be reached or fails; trying goes on.
    #[error("get a machine token from DDS: {0}; trying goes on")]
    Unavailable(String),
    /// DDS answers and says no; trying goes on at a slower pace.
    #[error("get a machine token from DDS: refused: {0}")]
    Refused(String),
    /// The node stops.
    #[error("get a machine token: the node is stopping")]
    Stopped,
}
