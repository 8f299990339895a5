//! The task that logs in: in time, one login at a time, and no faster than a DDS in trouble can bear.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::allowance::RefusalAllowance;
use super::settings::TokenSettings;
use super::state::{HeldToken, TokenState};
use crate::auth::login::{Login, LoginError, LoginErrorKind, MachineToken};
use crate::meters;
use crate::millis::millis;
use posemesh_net::clock::SharedClock;
use posemesh_net::meter::{self, Peer};
use posemesh_net::retry::{Backoff, Jitter};

/// The shortest time between the starts of two logins, whatever lifetimes and refusals ask for.
const MIN_SPACING: Duration = Duration::from_millis(250);
/// Longest wait after a login that failed for a reason that passes.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// First ceiling and longest wait after DDS refused: asking again soon seldom helps.
const REFUSED_BACKOFF: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// First ceiling and longest wait after DMS refused the second token in a row that it had never taken: a further login
/// seldom helps, and a node that logs in with each poll is a burden for DDS.
const REJECTED_BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// Clocks that differ by less count as the same: the `Date` header has whole seconds.
const SAME_CLOCK: time::Duration = time::Duration::seconds(2);
/// Longer lifetimes are cut to this.
const LONGEST_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Logs in for a [`super::TokenManager`]. When it ends or is dropped, the manager is stopped: the token is
/// forgotten and callers get an error.
#[must_use = "without the refresher there is no token"]
pub(crate) struct TokenRefresher {
    state: Arc<watch::Sender<TokenState>>,
    login: Arc<dyn Login>,
    settings: TokenSettings,
    clock: SharedClock,
    /// Waits after failures of the network and of DDS.
    transient: Backoff,
    /// Waits after refusals.
    refused: Backoff,
    /// Waits after tokens that DMS never took.
    rejected: Backoff,
    /// No login before this, unless DMS refuses the token.
    not_before: Instant,
    /// What is left of the logins that refusals may cause at once.
    allowance: RefusalAllowance,
    /// No login before this at all: DDS asked to be left alone.
    asked_until: Instant,
    /// The refusals by DMS that have been dealt with.
    refusals: u64,
}

impl TokenRefresher {
    pub(super) fn new(
        state: Arc<watch::Sender<TokenState>>,
        login: Arc<dyn Login>,
        settings: TokenSettings,
        clock: SharedClock,
    ) -> Self {
        // With a base of zero the back-off would never grow.
        let base = settings.jitter.max(Duration::from_millis(100));
        Self {
            state,
            login,
            settings,
            clock,
            transient: Backoff::new(base, LONGEST_BACKOFF, Jitter::FULL),
            refused: Backoff::new(REFUSED_BACKOFF.0, REFUSED_BACKOFF.1, Jitter::FULL),
            rejected: Backoff::new(REJECTED_BACKOFF.0, REJECTED_BACKOFF.1, Jitter::UPPER_HALF),
            not_before: Instant::now(),
            allowance: RefusalAllowance::new(),
            asked_until: Instant::now(),
            refusals: 0,
        }
    }

    /// Runs until `stop` fires. A login that is in flight then is aborted.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        stop.clone().run_until_cancelled(self.refresh_for_ever()).await;
    }

    async fn refresh_for_ever(&mut self) {
        loop {
            self.wait_until_due().await;
            // Counted from the start of the login, so that a slow one does not add to the spacing.
            let earliest_next = Instant::now() + MIN_SPACING;
            let result = self.login.login().await.and_then(|granted| self.hold(granted));
            let wait = match result {
                Ok(held) => self.succeeded(held),
                Err(error) => self.failed(error),
            };
            self.not_before = earliest_next.max(Instant::now() + wait);
            // Holds even when DMS refuses each token at once: a refusal does not wait for `not_before`.
            sleep_until(earliest_next).await;
        }
    }

    /// Waits for the moment of the next login.
    async fn wait_until_due(&mut self) {
        let mut state = self.state.subscribe();
        let due = {
            let state = state.borrow_and_update();
            state.held.as_ref().map_or(self.not_before, |held| held.refresh_at.max(self.not_before))
        };
        let dealt_with = self.refusals;
        // Without a token a login is due at `not_before` anyway, and `wanted` can't make it earlier.
        let has_token = self.state.borrow().held.is_some();
        let refused = async {
            // The sender lives in self: this can't fail.
            let _ = state.wait_for(|state| state.refusals != dealt_with).await;
        };
        let wanted = async {
            self.login.wanted().await;
            // A wish for a login does not cut a back-off short.
            sleep_until(self.not_before).await;
        };
        tokio::select! {
            // First: a token that was refused before this wait began has no due moment, and may have to wait longer.
            biased;
            () = refused => self.wait_after_refusal().await,
            () = sleep_until(due) => {}
            () = wanted, if has_token => {}
        }
    }

    /// DMS refused the token. The first login after that comes at once (protocol 3.1); if DMS takes none of the new
    /// tokens either, further ones come ever more rarely.
    async fn wait_after_refusal(&mut self) {
        let rejected = {
            let state = self.state.borrow();
            self.refusals = state.refusals;
            state.rejected
        };
        let mut at = self.asked_until.max(self.allowance.take(Instant::now()));
        if let Some(row) = rejected.checked_sub(1).filter(|row| *row > 0) {
            let wait = self.rejected.delay_after(row, fastrand::f64());
            at = at.max(Instant::now() + wait);
            tracing::warn!(
                refused_in_a_row = rejected,
                wait_ms = millis(wait),
                "DMS takes no token that DDS gives; waiting to log in again"
            );
        } else {
            tracing::debug!("the machine token was refused; logging in again");
        }
        sleep_until(at).await;
    }

    fn succeeded(&mut self, held: HeldToken) -> Duration {
        self.transient.reset();
        self.refused.reset();
        meters::LOGINS.count("succeeded");
        let valid_secs = held.expires_at.saturating_duration_since(Instant::now()).as_secs();
        let mut renewals = 0;
        self.state.send_modify(|state| {
            state.held = Some(held);
            state.renewals += 1;
            state.last_error = None;
            renewals = state.renewals;
        });
        tracing::info!(event = "token.rotate", count = renewals, valid_secs, "got a machine token");
        Duration::ZERO
    }

    fn failed(&mut self, error: LoginError) -> Duration {
        let (wait, word) = match error.kind {
            LoginErrorKind::Transient => (self.transient.next_delay(), "transient"),
            LoginErrorKind::Refused => (self.refused.next_delay(), "refused"),
        };
        meters::LOGINS.count(word);
        meter::retried(Peer::Dds);
        let asked = error.retry_after.unwrap_or_default();
        self.asked_until = Instant::now() + asked;
        let wait = wait.max(asked);
        let retry_in_ms = millis(wait);
        tracing::warn!(event = "token.error", error = %error, retry_in_ms, "login with DDS failed");
        self.state.send_modify(|state| {
            state.failures += 1;
            state.last_error = Some(error);
        });
        wait
    }

    /// Decides by the monotonic clock when a new token is renewed and when it ends.
    fn hold(&self, granted: MachineToken) -> Result<HeldToken, LoginError> {
        let lifetime = lifetime(&granted, self.clock.now())?;
        let refresh_after =
            refresh_after(lifetime, self.settings.safety_ratio, self.settings.jitter, fastrand::f64());
        let now = Instant::now();
        Ok(HeldToken {
            token: granted.token,
            refresh_at: now + refresh_after,
            expires_at: now + lifetime,
            accepted: false,
        })
    }
}

impl Drop for TokenRefresher {
    fn drop(&mut self) {
        self.state.send_modify(|state| {
            state.held = None;
            state.stopped = true;
        });
    }
}

/// How long a token is valid. By the node's clock, unless the clock of DDS shows another time.
fn lifetime(granted: &MachineToken, now: OffsetDateTime) -> Result<Duration, LoginError> {
    let now = match granted.server_date {
        // The end of the token is by the clock of DDS: measured by a wrong clock, the lifetime would be wrong too.
        Some(date) if (date - now).abs() > SAME_CLOCK => {
            let ahead_secs = (now - date).whole_seconds();
            tracing::warn!(ahead_secs, "the node's clock differs from the clock of DDS; set it");
            date
        }
        _ => now,
    };
    match Duration::try_from(granted.expires_at - now) {
        Ok(lifetime) if !lifetime.is_zero() => Ok(lifetime.min(LONGEST_LIFETIME)),
        _ => Err(LoginError::transient(
            "the token that DDS gave has expired already; check the clock of the node",
        )),
    }
}

/// How long after its grant a token is renewed: after the safe part of its lifetime, spread by up to `jitter`
/// in both directions (`draw` is a random number from 0 to 1), and never after its end.
fn refresh_after(lifetime: Duration, ratio: f64, jitter: Duration, draw: f64) -> Duration {
    let safe = lifetime.mul_f64(ratio.clamp(0.0, 1.0));
    let spread = jitter.mul_f64(2.0 * draw.clamp(0.0, 1.0));
    let least = lifetime.min(Duration::from_millis(1));
    (safe + spread).saturating_sub(jitter).clamp(least, lifetime)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use posemesh_net::secret::Secret;

    const HOUR: Duration = Duration::from_secs(3600);
    const HALF: Duration = Duration::from_millis(500);

    #[test]
    fn an_hour_is_renewed_after_45_minutes_give_or_take_the_jitter() {
        assert_eq!(refresh_after(HOUR, 0.75, HALF, 0.5), Duration::from_secs(2700));
        assert_eq!(refresh_after(HOUR, 0.75, HALF, 0.0), Duration::from_millis(2_699_500));
        assert_eq!(refresh_after(HOUR, 0.75, HALF, 1.0), Duration::from_millis(2_700_500));
    }

    #[test]
    fn renewal_stays_inside_the_lifetime() {
        assert_eq!(refresh_after(HOUR, 1.0, HALF, 1.0), HOUR);
        assert_eq!(refresh_after(HOUR, 0.0, Duration::ZERO, 0.5), Duration::from_millis(1));
        let short = Duration::from_micros(300);
        assert_eq!(refresh_after(short, 0.75, HALF, 0.0), short);
    }

    #[test]
    fn a_wrong_clock_of_the_node_does_not_spoil_the_lifetime() {
        let dds_now = datetime!(2026-01-01 12:00 UTC);
        let granted =
            |server_date| MachineToken { token: Secret::new("t"), expires_at: dds_now + HOUR, server_date };
        let ahead = dds_now + 2 * HOUR;
        assert_eq!(lifetime(&granted(Some(dds_now)), ahead).unwrap(), HOUR);
        assert!(lifetime(&granted(None), ahead).unwrap_err().to_string().contains("expired already"));
        let close = dds_now + Duration::from_millis(900);
        assert_eq!(lifetime(&granted(Some(dds_now)), close).unwrap(), HOUR - Duration::from_millis(900));
    }
}
