//! Hands the token out.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::refresh::TokenRefresher;
use super::settings::TokenSettings;
use super::state::{TokenState, TokenStatus};
use crate::auth::bearer::{AuthError, MachineAuth};
use crate::auth::login::{Login, LoginError, LoginErrorKind};
use posemesh_net::clock::SharedClock;
use posemesh_net::secret::Secret;

/// How long a caller waits for a login at most.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Hands out the machine token. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct TokenManager {
    state: Arc<watch::Sender<TokenState>>,
    max_retries: u32,
}

impl TokenManager {
    /// A manager without a token, and the task that logs in for it: run that task.
    pub(crate) fn new(
        login: Arc<dyn Login>,
        settings: TokenSettings,
        clock: SharedClock,
    ) -> (Self, TokenRefresher) {
        let state = Arc::new(watch::Sender::new(TokenState::default()));
        let manager = Self { state: Arc::clone(&state), max_retries: settings.max_retries };
        (manager, TokenRefresher::new(state, login, settings, clock))
    }

    /// What people may see of the token.
    pub(crate) fn status(&self) -> TokenStatus {
        self.state.borrow().status()
    }

    /// What a caller gets now; none if it should wait for the next login.
    fn answer(&self, state: &TokenState, failures_before: u64) -> Option<Result<Secret, AuthError>> {
        if state.stopped {
            return Some(Err(AuthError::Stopped));
        }
        // An expired token is of no use to the caller: DMS would only answer 401.
        if let Some(held) = state.held.as_ref().filter(|held| Instant::now() < held.expires_at) {
            return Some(Ok(held.token.clone()));
        }
        match &state.last_error {
            // The next login is some time off and unlikely to succeed: nothing to wait for.
            Some(LoginError { kind: LoginErrorKind::Refused, reason, .. }) => {
                Some(Err(AuthError::Refused(reason.clone())))
            }
            Some(LoginError { kind: LoginErrorKind::Transient, reason, .. })
                if state.failures - failures_before > u64::from(self.max_retries) =>
            {
                Some(Err(AuthError::Unavailable(reason.clone())))
            }
            _ => None,
        }
    }
}

#[async_trait]
impl MachineAuth for TokenManager {
    async fn bearer(&self) -> Result<Secret, AuthError> {
        let mut state = self.state.subscribe();
        // Only failures while this caller waits count: earlier ones say nothing about the login in flight.
        let failures_before = state.borrow().failures;
        // One deadline for all rounds: otherwise each change of the state would make the wait longer.
        let deadline = Instant::now() + LONGEST_WAIT;
        loop {
            if let Some(answer) = self.answer(&state.borrow_and_update(), failures_before) {
                return answer;
            }
            match timeout_at(deadline, state.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(AuthError::Stopped),
                Err(_) => return Err(no_login_in_time(&state.borrow())),
            }
        }
    }

    fn on_unauthorized(&self, refused: &Secret) {
        self.state.send_if_modified(|state| {
            // Several requests may be refused with the same token, and only the first may cost a login.
            let Some(held) = state.held.take_if(|held| held.token == *refused) else { return false };
            state.refusals += 1;
            state.rejected = if held.accepted { 0 } else { state.rejected.saturating_add(1) };
            if state.rejected > 1 {
                // Told at once instead of waited for: the next login is some time off.
                let reason = format!(
                    "DMS has refused the last {} tokens of DDS; do DMS_BASE_URL and DDS_BASE_URL belong together, and \
                     is the node registered?",
                    state.rejected
                );
                state.last_error = Some(LoginError::refused(reason));
            }
            true
        });
    }

    fn on_accepted(&self, token: &Secret) {
        self.state.send_if_modified(|state| {
            if let Some(held) = state.held.as_mut().filter(|held| !held.accepted && held.token == *token) {
                held.accepted = true;
                state.rejected = 0;
            }
            // Nobody waits for this.
            false
        });
    }
}

fn no_login_in_time(state: &TokenState) -> AuthError {
    let last = match &state.last_error {
        Some(error) => format!("; the last login failed: {error}"),
        None => "; the node may not be registered with DDS yet".to_owned(),
    };
    AuthError::Unavailable(format!("no login within {} seconds{last}", LONGEST_WAIT.as_secs()))
}
