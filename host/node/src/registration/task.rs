//! The loop that registers a wallet (protocol 1.5): registers, rests while DDS knows the node, and registers
//! again when the registration was lost or the capabilities have changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::capabilities::capabilities_other_than;
use super::failure::{RegistrationFailure, classify};
use super::pacing::RegistrationPacing;
use super::settings::RegistrationSettings;
use super::state::Registration;
use super::status::RegistrationStatus;
use super::unheard::{UnheardRegistrations, until};
use crate::auth::dds::DdsError;
use crate::meters;
use crate::millis::millis;
use posemesh_net::meter::{self, Peer};

/// Sends registrations.
#[async_trait]
pub(super) trait Registrar: Send + Sync + 'static {
    /// Tries once; ends by itself within the timeouts of its calls.
    ///
    /// # Errors
    /// As the client of DDS reports it.
    async fn register(&self, capabilities: &[String]) -> Result<(), DdsError>;

    /// The version that is reported to DDS, for the log.
    fn version(&self) -> &str;
}

/// Registers one node.
#[must_use = "without the task nothing is registered"]
pub(super) struct RegistrationTask {
    registration: Registration,
    registrar: Arc<dyn Registrar>,
    capabilities: watch::Receiver<BTreeSet<String>>,
    settings: RegistrationSettings,
    pacing: RegistrationPacing,
    unheard: UnheardRegistrations,
}

impl RegistrationTask {
    /// A node that is not registered, and the task that registers it: run that task.
    pub(super) fn new(
        registrar: Arc<dyn Registrar>,
        capabilities: watch::Receiver<BTreeSet<String>>,
        settings: RegistrationSettings,
    ) -> (Registration, Self) {
        let registration = Registration::default();
        let pacing = RegistrationPacing::new(settings);
        let unheard = UnheardRegistrations::default();
        (registration.clone(), Self { registration, registrar, capabilities, settings, pacing, unheard })
    }

    /// Runs until `stop` fires; a request that is in flight then is aborted.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        stop.run_until_cancelled(self.register_for_ever()).await;
    }

    async fn register_for_ever(&mut self) {
        let register_interval_sec = self.settings.interval.as_secs();
        let node_version = self.registrar.version();
        tracing::info!(
            event = "registration.loop.start",
            register_interval_sec,
            node_version,
            "the node registers with DDS"
        );
        loop {
            let capabilities = self.capabilities.borrow_and_update().clone();
            // A node that only reports new capabilities stays registered meanwhile.
            if !self.registration.is_registered() {
                self.registration.set(RegistrationStatus::Registering);
            }
            if capabilities.is_empty() {
                self.wait_for_capabilities().await;
                continue;
            }
            let started = Instant::now();
            let sorted: Vec<String> = capabilities.iter().cloned().collect();
            match self.registrar.register(&sorted).await {
                Ok(()) => self.rest(started, capabilities).await,
                Err(error) => {
                    self.unheard.failed(capabilities, &error);
                    self.wait_after(&error, started).await;
                }
            }
        }
    }

    /// There is nothing to register with: no request is made.
    async fn wait_for_capabilities(&mut self) {
        // Counts as a failure, so that its warning is as rare as those of other slow retries.
        let decision = self.pacing.failed(RegistrationFailure::SlowRetry, Instant::now(), fastrand::f64());
        let error = "no runner is live, so there is no capability to register";
        if decision.warn {
            tracing::warn!(
                event = "registration.error",
                elapsed_ms = 0,
                attempt = 0,
                error,
                "not registered"
            );
        }
        tokio::select! {
            _ = capabilities_other_than(&mut self.capabilities, None) => {}
            () = sleep(decision.wait) => {}
        }
    }

    /// Waits until the registration is lost, its capabilities are no longer the live ones, or DDS may have others by now.
    async fn rest(&mut self, started: Instant, reported: BTreeSet<String>) {
        let elapsed_ms = millis(started.elapsed());
        tracing::info!(event = "registration.success", elapsed_ms, "registered with DDS");
        meters::REGISTRATIONS.count("registered");
        self.pacing.succeeded();
        self.registration.set_error(None);
        let registered_at = Instant::now();
        let overtaken = until(self.unheard.overtaking(&reported));
        let registration = self.registration.clone();
        registration.succeeded(reported.clone());
        let mut status = registration.status();
        let lost = async {
            let _ = status.wait_for(|status| *status != RegistrationStatus::Registered).await;
        };
        tokio::select! {
            // A lost registration comes first: registering again reports the new capabilities as well.
            biased;
            () = lost => {
                let wait = self.pacing.lost(registered_at.elapsed(), fastrand::f64());
                sleep(wait).await;
            }
            capabilities = capabilities_other_than(&mut self.capabilities, Some(&reported)) => {
                let shown = |all: &BTreeSet<String>| all.iter().cloned().collect::<Vec<_>>().join(",");
                let (capabilities, before) = (shown(&capabilities), shown(&reported));
                tracing::info!(capabilities, before, "the capabilities have changed");
            }
            () = overtaken => {
                tracing::info!("an earlier registration without an answer may have arrived late; registering once more");
            }
        }
    }

    async fn wait_after(&mut self, error: &DdsError, started: Instant) {
        let failure = classify(error);
        meters::REGISTRATIONS.count(failure.word());
        meter::retried(Peer::Dds);
        self.registration.set_error(Some(error.to_string()));
        let now = Instant::now();
        let elapsed_ms = millis(now - started);
        let mut decision = self.pacing.failed(failure, now, fastrand::f64());
        // Longer than our own waits if DDS asks for it; new capabilities don't cut this one short.
        let asked = error.retry_after().unwrap_or_default();
        decision.wait = decision.wait.max(asked);
        let retry_in_ms = millis(decision.wait);
        if failure == RegistrationFailure::Conflict {
            let blocked_ms = millis(decision.blocked);
            let what = "another live node has this identity";
            if decision.warn {
                tracing::warn!(event = "registration.conflict", elapsed_ms, blocked_ms, %error, "{what}");
            } else {
                tracing::debug!(event = "registration.conflict", elapsed_ms, blocked_ms, %error, "{what}");
            }
        } else if decision.warn {
            let attempt = decision.attempt;
            tracing::warn!(event = "registration.error", elapsed_ms, %error, attempt, retry_in_ms, "registering failed");
        } else {
            tracing::debug!(event = "registration.error", elapsed_ms, %error, retry_in_ms, "registering failed");
        }
        if decision.max_retry_reached {
            let max_retry = self.settings.max_retry.unwrap_or_default();
            tracing::warn!(
                event = "registration.max_retry_reached",
                max_retry,
                retry_in_ms,
                "registering failed REGISTER_MAX_RETRY times in a row"
            );
        }
        if failure == RegistrationFailure::SlowRetry {
            // Perhaps it was the capabilities that DDS did not like.
            sleep(asked).await;
            let current = self.capabilities.borrow().clone();
            tokio::select! {
                _ = capabilities_other_than(&mut self.capabilities, Some(&current)) => {}
                () = sleep(decision.wait.saturating_sub(asked)) => {}
            }
        } else {
            sleep(decision.wait).await;
        }
    }
}

#[cfg(test)]
mod tests;
