//! The state of one node's registration, as others see and influence it.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use super::status::{RegistrationStatus, publish};

/// The state of one node's registration. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registration {
    state: Arc<RegistrationState>,
}

#[derive(Debug, Default)]
struct RegistrationState {
    status: watch::Sender<RegistrationStatus>,
    /// Successful registrations.
    count: watch::Sender<u64>,
    /// The capabilities that DDS took last.
    reported: watch::Sender<Option<BTreeSet<String>>>,
    /// A callback said that DDS knows the node.
    hint: watch::Sender<bool>,
    /// How the last registration failed; none if it succeeded.
    error: watch::Sender<Option<String>>,
}

impl Registration {
    /// The status, now and as it changes.
    pub(crate) fn status(&self) -> watch::Receiver<RegistrationStatus> {
        self.state.status.subscribe()
    }

    /// DDS or DMS does not seem to know the node any more: registers again, at once unless this happens
    /// over and over. Does nothing if the node is not registered anyway.
    pub(super) fn rearm(&self, reason: &str) {
        // An old hint says nothing now; left in place, it would let logins go on without a registration.
        self.state.hint.send_replace(false);
        // Checked and changed in one step: of several callers only one ends the registration.
        let rearmed = self.state.status.send_if_modified(|status| {
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

    /// Waits until logging in makes sense (protocol 1.8). Returns the number of registrations so far.
    pub(super) async fn login_open(&self) -> u64 {
        let (mut status, mut hint) = (self.status(), self.state.hint.subscribe());
        // The senders live in self: waiting can't fail.
        tokio::select! {
            _ = status.wait_for(|status| *status == RegistrationStatus::Registered) => {}
            _ = hint.wait_for(|hint| *hint) => {}
        }
        *self.state.count.borrow()
    }

    /// DDS granted a token. If a hint had opened the login, DDS does know the node: it counts as registered, and
    /// the loop goes on to report the capabilities.
    pub(super) fn logged_in(&self) {
        // Without a hint the registration loop alone decides: a login that ends late must not undo a `rearm`.
        if *self.state.hint.borrow() && !self.is_registered() {
            self.set(RegistrationStatus::Registered);
        }
    }

    /// Waits for a registration after the first `known` ones.
    pub(super) async fn registered_after(&self, known: u64) {
        let _ = self.state.count.subscribe().wait_for(|count| *count > known).await;
    }

    /// A callback said that DDS knows the node: logging in may be tried.
    pub(super) fn hint(&self) {
        self.state.hint.send_replace(true);
    }

    /// The capabilities that DDS took last, now and as they change.
    pub(super) fn reported(&self) -> watch::Receiver<Option<BTreeSet<String>>> {
        self.state.reported.subscribe()
    }

    /// DDS took a registration with these capabilities.
    pub(super) fn succeeded(&self, capabilities: BTreeSet<String>) {
        self.state.reported.send_replace(Some(capabilities));
        // Counted before the status changes: a login that the status lets in must not be repeated for this one.
        self.state.count.send_modify(|count| *count += 1);
        self.set(RegistrationStatus::Registered);
    }

    /// How the last registration failed; none if it succeeded, or there was none yet.
    pub(super) fn error(&self) -> Option<String> {
        self.state.error.borrow().clone()
    }

    pub(super) fn set_error(&self, error: Option<String>) {
        self.state.error.send_replace(error);
    }

    pub(super) fn is_registered(&self) -> bool {
        *self.state.status.borrow() == RegistrationStatus::Registered
    }

    pub(super) fn set(&self, to: RegistrationStatus) {
        publish(&self.state.status, to);
    }
}
