//! The machine token: kept, handed out, and renewed in time (protocol 2).
//!
//! One task, the [`TokenRefresher`], does all logins, so there is never more than one under way. Callers
//! only look at what it publishes. A token is handed out until it really expires, while its renewal
//! goes on behind: an outage of DDS that is shorter than what is left of the lifetime is not noticed.

mod refresh;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

pub use refresh::TokenRefresher;

use super::login::{Login, LoginError};
use super::{AuthError, MachineAuth};
use crate::config::TokenConfig;
use posemesh_net::clock::SharedClock;
use posemesh_net::secret::Secret;

/// How long a caller waits for a login at most.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Hands out the machine token. Cloning shares.
#[derive(Debug, Clone)]
pub struct TokenManager {
    state: Arc<watch::Sender<State>>,
    max_retries: u32,
}

/// What the refresher publishes.
#[derive(Debug, Default)]
struct State {
    /// The token; none before the first login and after one was refused by DMS.
    held: Option<Held>,
    /// Successful logins.
    renewals: u64,
    /// Failed logins, in all.
    failures: u64,
    /// How the last login failed, if it did.
    last_error: Option<LoginError>,
    /// Tokens that DMS refused.
    refusals: u64,
    /// The refresher is gone.
    stopped: bool,
}

#[derive(Debug)]
struct Held {
    token: Secret,
    refresh_at: Instant,
    expires_at: Instant,
}

/// What can be told of the token to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenStatus {
    /// How long the token is still valid; none if there is no valid one.
    pub valid_for: Option<Duration>,
    /// Successful logins since the start (`token.rotate.count`).
    pub renewals: u64,
    /// How the last login failed, if it did.
    pub last_error: Option<LoginError>,
}

impl TokenManager {
    /// A manager without a token, and the task that gets it one: run it.
    pub fn new(login: Arc<dyn Login>, policy: TokenConfig, clock: SharedClock) -> (Self, TokenRefresher) {
        let state = Arc::new(watch::Sender::new(State::default()));
        let manager = Self { state: Arc::clone(&state), max_retries: policy.max_retries };
        (manager, TokenRefresher::new(state, login, policy, clock))
    }

    /// What can be told of the token to people.
    pub fn status(&self) -> TokenStatus {
        let state = self.state.borrow();
        let left = state.held.as_ref().map(|held| held.expires_at.saturating_duration_since(Instant::now()));
        TokenStatus {
            valid_for: left.filter(|left| !left.is_zero()),
            renewals: state.renewals,
            last_error: state.last_error.clone(),
        }
    }
}

#[async_trait]
impl MachineAuth for TokenManager {
    async fn bearer(&self) -> Result<Secret, AuthError> {
        let mut state = self.state.subscribe();
        let failures_before = state.borrow().failures;
        let deadline = Instant::now() + LONGEST_WAIT;
        loop {
            if let Some(answer) = self.answer(&state.borrow_and_update(), failures_before) {
                return answer;
            }
            match timeout_at(deadline, state.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(AuthError::Stopped),
                Err(_) => return Err(given_up(&state.borrow())),
            }
        }
    }

    fn on_unauthorized(&self, refused: &Secret) {
        self.state.send_if_modified(|state| {
            let current = state.held.as_ref().is_some_and(|held| held.token == *refused);
            if current {
                state.held = None;
                state.refusals += 1;
            }
            current
        });
    }
}

impl TokenManager {
    /// What a caller gets now; none if it should wait for the next login.
    fn answer(&self, state: &State, failures_before: u64) -> Option<Result<Secret, AuthError>> {
        if state.stopped {
            return Some(Err(AuthError::Stopped));
        }
        if let Some(held) = state.held.as_ref().filter(|held| Instant::now() < held.expires_at) {
            return Some(Ok(held.token.clone()));
        }
        match &state.last_error {
            // The next try is some time off and unlikely to do better: nothing to wait for.
            Some(LoginError::Refused(reason)) => Some(Err(AuthError::Refused(reason.clone()))),
            Some(LoginError::Transient(reason))
                if state.failures - failures_before > u64::from(self.max_retries) =>
            {
                Some(Err(AuthError::Unavailable(reason.clone())))
            }
            _ => None,
        }
    }
}

fn given_up(state: &State) -> AuthError {
    let last = match &state.last_error {
        Some(error) => format!("; the last login failed: {error}"),
        None => "; the node may not be registered with DDS yet".to_owned(),
    };
    AuthError::Unavailable(format!("no login within {} seconds{last}", LONGEST_WAIT.as_secs()))
}
