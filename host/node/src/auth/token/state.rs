//! What the refresher publishes and the manager reads.

use std::time::Duration;

use tokio::time::Instant;

use crate::auth::login::LoginError;
use posemesh_net::secret::Secret;

/// What the refresher publishes.
#[derive(Debug, Default)]
pub(super) struct TokenState {
    /// None before the first login and after DMS refused the token.
    pub(super) held: Option<HeldToken>,
    /// Successful logins.
    pub(super) renewals: u64,
    /// Failed logins, in all.
    pub(super) failures: u64,
    /// How the last login failed; none if it succeeded.
    pub(super) last_error: Option<LoginError>,
    /// Tokens that DMS refused.
    pub(super) refusals: u64,
    /// How many of them in a row DMS had never taken.
    pub(super) rejected: u32,
    /// Set once the refresher has ended: there will be no token any more.
    pub(super) stopped: bool,
}

/// A token in use, with its times by this machine's monotonic clock.
#[derive(Debug)]
pub(super) struct HeldToken {
    pub(super) token: Secret,
    pub(super) refresh_at: Instant,
    pub(super) expires_at: Instant,
    /// Whether DMS has taken it.
    pub(super) accepted: bool,
}

impl TokenState {
    /// What people may see of it.
    pub(super) fn status(&self) -> TokenStatus {
        let left = self.held.as_ref().map(|held| held.expires_at.saturating_duration_since(Instant::now()));
        TokenStatus {
            valid_for: left.filter(|left| !left.is_zero()),
            renewals: self.renewals,
            last_error: self.last_error.clone(),
        }
    }
}

/// What people may see of the machine token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenStatus {
    /// How long the token is still valid; none if there is no valid one.
    pub(crate) valid_for: Option<Duration>,
    /// Successful logins since the start (`token.rotate.count`).
    pub(crate) renewals: u64,
    /// How the last login failed; none if it succeeded.
    pub(crate) last_error: Option<LoginError>,
}
