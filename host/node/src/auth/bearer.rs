//! The bearer of requests to DMS, as its client sees it.

use async_trait::async_trait;

use posemesh_net::secret::Secret;

/// Hands out the machine token, which is the bearer of requests to DMS; never a task's token.
#[async_trait]
pub(crate) trait MachineAuth: Send + Sync {
    /// A token that is valid as far as is known. Waits while a login is in flight; drop the future to stop
    /// waiting.
    ///
    /// # Errors
    /// When logins keep failing, or after the node has stopped.
    async fn bearer(&self) -> Result<Secret, AuthError>;

    /// DMS answered 401 to `refused`: the next [`MachineAuth::bearer`] returns another token. Does nothing
    /// if there is a newer token already.
    fn on_unauthorized(&self, refused: &Secret);

    /// DMS took `token`: a later 401 to it means that it has ended, and not that DMS takes no token of DDS.
    fn on_accepted(&self, _token: &Secret) {}

    /// DMS answered 403 to a request for a lease: the node may no longer be registered.
    fn on_forbidden(&self) {}
}

/// Why there is no machine token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthError {
    /// DDS can't be reached or fails; trying goes on.
    #[error("get a machine token from DDS: {0}; trying goes on")]
    Unavailable(String),
    /// DDS answers and refuses; trying goes on at a slower pace.
    #[error("get a machine token from DDS: refused: {0}")]
    Refused(String),
    /// The node is stopping.
    #[error("get a machine token: the node is stopping")]
    Stopped,
}
