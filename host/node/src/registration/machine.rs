//! The registration state machine (protocol 1.5): registers, stays parked while DDS knows the node, and
//! registers again when it was lost or when the capabilities have changed.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::classify::{Class, classify};
use super::pace::Pace;
use super::{RegistrationStatus, capabilities_other_than};
use crate::auth::dds::DdsError;
use crate::config::RegistrationConfig;

/// Sends one registration.
#[async_trait]
pub trait Registrar: Send + Sync + 'static {
    /// Tries once; ends by itself within the timeouts of its calls.
    ///
    /// # Errors
    /// As the DDS client tells it.
    async fn register(&self, capabilities: &[String]) -> Result<(), DdsError>;

    /// The version that is told, for the log.
    fn version(&self) -> &str;
}

/// The state of one node's registration, as others see and influence it. Cloning shares.
#[derive(Debug, Clone)]
pub struct Registration {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    status: watch::Sender<RegistrationStatus>,
    /// Successful registrations.
    count: watch::Sender<u64>,
    /// A callback says that DDS knows the node.
    hint: watch::Sender<bool>,
    pub(super) healthcheck: watch::Sender<Option<Instant>>,
}

impl Registration {
    /// A node that is not registered, and the task that registers it: run it.
    pub fn new(
        registrar: Arc<dyn Registrar>,
        capabilities: watch::Receiver<BTreeSet<String>>,
        policy: &RegistrationConfig,
    ) -> (Self, RegistrationTask) {
        let registration = Self { shared: Arc::default() };
        let task = RegistrationTask {
            registration: registration.clone(),
            registrar,
            capabilities,
            interval: policy.interval,
            pace: Pace::new(policy.interval, policy.max_retry),
            max_retry: policy.max_retry,
        };
        (registration, task)
    }

    /// The status, now and as it changes.
    pub fn status(&self) -> watch::Receiver<RegistrationStatus> {
        self.shared.status.subscribe()
    }

    /// DDS or DMS does not seem to know the node any more: registers again, at once unless this happens
    /// over and over. Does nothing if the node is not registered anyway.
    pub fn rearm(&self, reason: &str) {
        self.shared.hint.send_replace(false);
        let rearmed = self.shared.status.send_if_modified(|status| {
            let registered = *status == RegistrationStatus::Registered;
            if registered {
                *status = RegistrationStatus::Disconnected;
            }
            registered
        });
        if rearmed {
            let (from, to) = (RegistrationStatus::Registered, RegistrationStatus::Disconnected);
            tracing::warn!(event = "status.transition", %from, %to, reason, "the registration is gone");
        }
    }

    /// Waits until logging in makes sense (protocol 1.8). Gives the number of registrations so far.
    pub async fn login_open(&self) -> u64 {
        let (mut status, mut hint) = (self.status(), self.shared.hint.subscribe());
        // The senders live in self: waiting can't fail.
        tokio::select! {
            _ = status.wait_for(|status| *status == RegistrationStatus::Registered) => {}
            _ = hint.wait_for(|hint| *hint) => {}
        }
        *self.shared.count.borrow()
    }

    /// DDS gave a token to a node that came here by a hint: it does know the node. The loop goes on to tell
    /// it the capabilities.
    pub fn logged_in(&self) {
        if *self.shared.hint.borrow() && *self.shared.status.borrow() != RegistrationStatus::Registered {
            self.set(RegistrationStatus::Registered);
        }
    }

    /// Waits for a registration after the first `known` ones.
    pub async fn registered_after(&self, known: u64) {
        let _ = self.shared.count.subscribe().wait_for(|count| *count > known).await;
    }

    pub(super) fn hint(&self) {
        self.shared.hint.send_replace(true);
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn set(&self, to: RegistrationStatus) {
        let from = self.shared.status.send_replace(to);
        if from != to {
            tracing::info!(event = "status.transition", %from, %to, "registration status");
        }
    }
}

/// Registers one node; see [`Registration::new`].
#[must_use = "without the task nothing is registered"]
pub struct RegistrationTask {
    registration: Registration,
    registrar: Arc<dyn Registrar>,
    capabilities: watch::Receiver<BTreeSet<String>>,
    interval: Duration,
    max_retry: Option<u32>,
    pace: Pace,
}

impl RegistrationTask {
    /// Runs until `stop` fires; a request that is under way then is abandoned.
    pub async fn run(mut self, stop: CancellationToken) {
        stop.run_until_cancelled(self.register_for_ever()).await;
    }

    async fn register_for_ever(&mut self) {
        let register_interval_sec = self.interval.as_secs();
        let node_version = self.registrar.version();
        tracing::info!(event = "registration.loop.start", register_interval_sec, node_version);
        loop {
            let capabilities = self.capabilities.borrow_and_update().clone();
            // A node that only tells new capabilities stays registered meanwhile.
            if *self.registration.shared.status.borrow() != RegistrationStatus::Registered {
                self.registration.set(RegistrationStatus::Registering);
            }
            if capabilities.is_empty() {
                self.wait_for_capabilities().await;
                continue;
            }
            let started = Instant::now();
            let sorted: Vec<String> = capabilities.iter().cloned().collect();
            match self.registrar.register(&sorted).await {
                Ok(()) => self.park(started, capabilities).await,
                Err(error) => self.wait_after(&error, started).await,
            }
        }
    }

    /// There is nothing to register with: no request is made.
    async fn wait_for_capabilities(&mut self) {
        let verdict = self.pace.failed(Class::SlowRetry, Instant::now(), fastrand::f64());
        let error = "no runner is live, so there is no capability to register";
        if verdict.warn {
            tracing::warn!(event = "registration.error", elapsed_ms = 0, attempt = 0, error);
        }
        tokio::select! {
            _ = capabilities_other_than(&mut self.capabilities, None) => {}
            () = sleep(verdict.wait) => {}
        }
    }

    /// Stays until the registration is lost or its capabilities are not the live ones any more.
    async fn park(&mut self, started: Instant, told: BTreeSet<String>) {
        tracing::info!(event = "registration.success", elapsed_ms = millis(started.elapsed()));
        self.pace.succeeded();
        let registered_at = Instant::now();
        let registration = self.registration.clone();
        registration.shared.count.send_modify(|count| *count += 1);
        registration.set(RegistrationStatus::Registered);
        let mut status = registration.status();
        let lost = async {
            let _ = status.wait_for(|status| *status != RegistrationStatus::Registered).await;
        };
        tokio::select! {
            biased;
            () = lost => {
                let wait = self.pace.lost(registered_at.elapsed(), fastrand::f64());
                sleep(wait).await;
            }
            capabilities = capabilities_other_than(&mut self.capabilities, Some(&told)) => {
                tracing::info!(?capabilities, before = ?told, "the capabilities have changed");
            }
        }
    }

    async fn wait_after(&mut self, error: &DdsError, started: Instant) {
        let class = classify(error);
        let now = Instant::now();
        let elapsed_ms = millis(now - started);
        let verdict = self.pace.failed(class, now, fastrand::f64());
        let retry_in_ms = millis(verdict.wait);
        if class == Class::Conflict {
            let blocked_ms = millis(verdict.blocked);
            let what = "another live node has this identity";
            if verdict.warn {
                tracing::warn!(event = "registration.conflict", elapsed_ms, blocked_ms, %error, what);
            } else {
                tracing::debug!(event = "registration.conflict", elapsed_ms, blocked_ms, %error, what);
            }
        } else if verdict.warn {
            let attempt = verdict.attempt;
            tracing::warn!(event = "registration.error", elapsed_ms, %error, attempt, retry_in_ms);
        } else {
            tracing::debug!(event = "registration.error", elapsed_ms, %error, retry_in_ms);
        }
        if verdict.max_retry_reached {
            let max_retry = self.max_retry.unwrap_or_default();
            tracing::warn!(event = "registration.max_retry_reached", max_retry, retry_in_ms);
        }
        if class == Class::SlowRetry {
            // Perhaps it was the capabilities that DDS did not like.
            let current = self.capabilities.borrow().clone();
            tokio::select! {
                _ = capabilities_other_than(&mut self.capabilities, Some(&current)) => {}
                () = sleep(verdict.wait) => {}
            }
        } else {
            sleep(verdict.wait).await;
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
