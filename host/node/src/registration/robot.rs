//! A robot: no wallet, and no loop of its own. Registering logs in as well (protocol 1.9).

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;

use super::capabilities::capabilities_other_than;
use super::status::{RegistrationStatus, publish};
use super::unheard::{UnheardRegistrations, until};
use crate::auth::dds::{DdsCall, DdsClient, DdsError};
use crate::auth::login::{Login, LoginError, MachineToken};
use posemesh_net::secret::Secret;

/// A registration younger than this is not repeated because of DMS alone.
const FRESH: Duration = Duration::from_secs(60);

/// Registers a robot with its first login, logs it in with later ones, and registers again when DDS does
/// not know it any more or when its capabilities have changed.
#[derive(Debug)]
pub(super) struct RobotLogin {
    dds: DdsClient,
    credentials: Secret,
    version: String,
    capabilities: watch::Receiver<BTreeSet<String>>,
    /// The capabilities that DDS was informed of last, and when; none if the next login has to register.
    reported: watch::Sender<Option<(BTreeSet<String>, Instant)>>,
    unheard: Mutex<UnheardRegistrations>,
    /// When DDS has to be told once more, if ever.
    again: watch::Sender<Option<Instant>>,
    /// What [`RobotLogin::told`] tells.
    told: watch::Sender<Option<BTreeSet<String>>>,
    status: watch::Sender<RegistrationStatus>,
}

impl RobotLogin {
    /// A robot that is not registered. `version` goes to DDS as it is.
    pub(super) fn new(
        dds: DdsClient,
        credentials: Secret,
        version: String,
        capabilities: watch::Receiver<BTreeSet<String>>,
    ) -> Self {
        let status = watch::Sender::new(RegistrationStatus::Disconnected);
        let (reported, again, told) =
            (watch::Sender::new(None), watch::Sender::new(None), watch::Sender::new(None));
        Self {
            dds,
            credentials,
            version,
            capabilities,
            reported,
            unheard: Mutex::default(),
            again,
            told,
            status,
        }
    }

    /// The status, now and as it changes.
    pub(super) fn status(&self) -> watch::Receiver<RegistrationStatus> {
        self.status.subscribe()
    }

    /// The capabilities that DDS took last, now and as they change; kept when it does not know the robot any more.
    pub(super) fn told(&self) -> watch::Receiver<Option<BTreeSet<String>>> {
        self.told.subscribe()
    }

    /// DMS does not seem to know the robot: registers again, unless it has just done so.
    pub(super) fn rearm(&self, reason: &str) {
        // DMS may still go by what it knew before: a registration that was just made is not to blame.
        let stale =
            |reported: &Option<(_, Instant)>| reported.as_ref().is_some_and(|(_, at)| at.elapsed() > FRESH);
        if self.reported.send_if_modified(|reported| stale(reported) && reported.take().is_some()) {
            self.set(RegistrationStatus::Disconnected);
            tracing::warn!(reason, "the robot's registration is gone");
        }
    }

    async fn register(&self, capabilities: BTreeSet<String>) -> Result<MachineToken, DdsError> {
        // A robot that only reports new capabilities stays registered meanwhile.
        if *self.status.borrow() == RegistrationStatus::Disconnected {
            self.set(RegistrationStatus::Registering);
        }
        let sorted: Vec<String> = capabilities.iter().cloned().collect();
        tracing::info!(version = self.version, capabilities = sorted.join(","), "Registering node with DDS");
        let started = Instant::now();
        let granted = match self.dds.register_robot(&self.credentials, &self.version, &sorted).await {
            Ok(granted) => granted,
            Err(error) => {
                self.unheard().failed(capabilities, &error);
                return Err(error);
            }
        };
        let again = self.unheard().overtaking(&capabilities);
        self.again.send_replace(again);
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(event = "registration.success", elapsed_ms, "registered with DDS");
        // Only after success: if registering fails, the next login has to try it again.
        self.told.send_replace(Some(capabilities.clone()));
        self.reported.send_replace(Some((capabilities, Instant::now())));
        self.set(RegistrationStatus::Registered);
        Ok(granted)
    }

    fn set(&self, to: RegistrationStatus) {
        publish(&self.status, to);
    }

    fn unheard(&self) -> MutexGuard<'_, UnheardRegistrations> {
        self.unheard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an earlier registration without an answer may have arrived after the last one.
    fn is_overtaken(&self) -> bool {
        self.again.borrow().is_some_and(|again| again <= Instant::now())
    }

    /// The capabilities that DDS was informed of last.
    fn reported(&self) -> Option<BTreeSet<String>> {
        self.reported.borrow().as_ref().map(|(capabilities, _)| capabilities.clone())
    }
}

#[async_trait]
impl Login for RobotLogin {
    async fn login(&self) -> Result<MachineToken, LoginError> {
        let mut live = self.capabilities.clone();
        let current = live.borrow_and_update().clone();
        let Some(reported) = self.reported() else {
            // Nothing is registered without a capability: the login waits for the first live runner.
            let capabilities = capabilities_other_than(&mut live, None).await;
            return Ok(self.register(capabilities).await?);
        };
        // Without a single live runner there is nothing new to report.
        let current = if current.is_empty() { reported.clone() } else { current };
        if current != reported || self.is_overtaken() {
            return Ok(self.register(current).await?);
        }
        match self.dds.verify_robot(&self.credentials).await {
            Err(error) if error.answered(DdsCall::VerifyRobot, &[403, 404, 410]) => {
                tracing::warn!(%error, "DDS does not know the robot any more; registering again");
                // Forgotten first: if registering fails now, the next login begins with it.
                self.reported.send_replace(None);
                self.set(RegistrationStatus::Disconnected);
                Ok(self.register(reported).await?)
            }
            answer => Ok(answer?),
        }
    }

    async fn wanted(&self) {
        let mut reported = self.reported.subscribe();
        let mut live = self.capabilities.clone();
        loop {
            let known = reported.borrow_and_update().as_ref().map(|(capabilities, _)| capabilities.clone());
            let again = *self.again.borrow();
            tokio::select! {
                _ = capabilities_other_than(&mut live, known.as_ref()) => return,
                () = until(again) => return,
                // The sender lives in self: this can't fail.
                _ = reported.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
