//! Puts together what the node's identity needs: a token manager in any case, and for a wallet the
//! registration loop.

#[cfg(any(test, feature = "simulation"))]
mod simulated;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::robot::RobotLogin;
use super::settings::RegistrationSettings;
use super::state::Registration;
use super::status::RegistrationStatus;
use super::task::RegistrationTask;
use super::version::normalise;
use super::wallet::{SignIn, WalletLogin, WalletRegistrar};
use crate::auth::bearer::{AuthError, MachineAuth};
use crate::auth::dds::{DdsClient, DdsError};
use crate::auth::identity::Identity;
use crate::auth::login::Login;
use crate::auth::siwe::SigningSettings;
use crate::auth::token::{TokenManager, TokenRefresher, TokenSettings, TokenStatus};
use posemesh_net::clock::SharedClock;
use posemesh_net::secret::Secret;

#[cfg(any(test, feature = "simulation"))]
pub(crate) use simulated::SimulatedDds;

/// What a node needs to be a member of the network. Secrets in it do not print.
#[derive(Debug, Clone)]
pub(crate) struct MembershipSettings {
    /// The DDS that the node registers with and signs for.
    pub(crate) dds_base_url: Url,
    /// Time for the whole of one request to DDS.
    pub(crate) request_timeout: Duration,
    /// How the node proves who it is.
    pub(crate) identity: Identity,
    /// The version that is reported to DDS, as the operator gave it.
    pub(crate) node_version: String,
    /// What a wallet signs, and how.
    pub(crate) signing: SigningSettings,
    /// How a wallet's registration is repeated.
    pub(crate) registration: RegistrationSettings,
    /// When machine tokens are renewed.
    pub(crate) token: TokenSettings,
}

/// The node's registration with DDS, and its bearer for DMS.
#[derive(Debug)]
pub(crate) struct Membership {
    tokens: TokenManager,
    kind: IdentityKind,
}

#[derive(Debug)]
enum IdentityKind {
    Wallet(Registration),
    Robot(Arc<RobotLogin>),
}

/// Registers and logs in for a [`Membership`].
#[must_use = "without the task the node neither registers nor logs in"]
pub(crate) struct MembershipTask {
    refresher: TokenRefresher,
    registration: Option<RegistrationTask>,
}

impl Membership {
    /// A node that is not registered yet, and the task that registers it and logs it in: run that task.
    /// `capabilities` are those of the live runners; DDS is informed whenever they change.
    ///
    /// # Errors
    /// When the HTTP client can't be made.
    pub(crate) fn new(
        settings: &MembershipSettings,
        capabilities: watch::Receiver<BTreeSet<String>>,
        clock: SharedClock,
    ) -> Result<(Arc<Self>, MembershipTask), DdsError> {
        let dds = DdsClient::new(settings.dds_base_url.clone(), settings.request_timeout)?;
        let (login, kind, registration): (Arc<dyn Login>, _, _) = match &settings.identity {
            Identity::Wallet { reg_secret, wallet } => {
                let public_key_prefix = wallet.public_key_prefix();
                tracing::info!(address = wallet.address(), public_key_prefix, "the node has a wallet");
                let sign_in =
                    Arc::new(SignIn::new(dds, Arc::clone(wallet), &settings.signing, Arc::clone(&clock)));
                let registrar = WalletRegistrar {
                    sign_in: Arc::clone(&sign_in),
                    credentials: reg_secret.clone(),
                    version: normalise(&settings.node_version),
                };
                let (registration, task) =
                    RegistrationTask::new(Arc::new(registrar), capabilities, settings.registration);
                let login = WalletLogin::new(sign_in, registration.clone());
                (Arc::new(login), IdentityKind::Wallet(registration), Some(task))
            }
            // There is no registration task: a robot's first login registers it.
            Identity::Robot { credentials } => {
                tracing::info!("the node is a robot");
                // A robot's version goes to DDS as the operator gave it; only that of a wallet is made semver.
                let version = settings.node_version.clone();
                let login = Arc::new(RobotLogin::new(dds, credentials.clone(), version, capabilities));
                (login.clone(), IdentityKind::Robot(login), None)
            }
        };
        let (tokens, refresher) = TokenManager::new(login, settings.token, clock);
        Ok((Arc::new(Self { tokens, kind }), MembershipTask { refresher, registration }))
    }

    /// The registration's status, now and as it changes.
    pub(crate) fn status(&self) -> watch::Receiver<RegistrationStatus> {
        match &self.kind {
            IdentityKind::Wallet(registration) => registration.status(),
            IdentityKind::Robot(robot) => robot.status(),
        }
    }

    /// How the last registration failed, if it did. A robot registers by logging in: its failures are the token's.
    pub(crate) fn registration_error(&self) -> Option<String> {
        match &self.kind {
            IdentityKind::Wallet(registration) => registration.error(),
            IdentityKind::Robot(_) => None,
        }
    }

    /// The capabilities that DDS took last, now and as they change.
    pub(crate) fn reported(&self) -> watch::Receiver<Option<BTreeSet<String>>> {
        match &self.kind {
            IdentityKind::Wallet(registration) => registration.reported(),
            IdentityKind::Robot(robot) => robot.told(),
        }
    }

    /// What people may see of the machine token.
    pub(crate) fn token_status(&self) -> TokenStatus {
        self.tokens.status()
    }

    /// Registers again, because a server says that it does not know the node.
    pub(crate) fn rearm(&self, reason: &str) {
        match &self.kind {
            IdentityKind::Wallet(registration) => registration.rearm(reason),
            IdentityKind::Robot(robot) => robot.rearm(reason),
        }
    }

    /// The registration that the inbound routes of protocol 1.10 act on; none for a robot, which has no such routes.
    pub(crate) fn registration(&self) -> Option<&Registration> {
        match &self.kind {
            IdentityKind::Wallet(registration) => Some(registration),
            IdentityKind::Robot(_) => None,
        }
    }
}

#[async_trait]
impl MachineAuth for Membership {
    async fn bearer(&self) -> Result<Secret, AuthError> {
        self.tokens.bearer().await
    }

    fn on_unauthorized(&self, refused: &Secret) {
        self.tokens.on_unauthorized(refused);
    }

    fn on_accepted(&self, token: &Secret) {
        self.tokens.on_accepted(token);
    }

    fn on_forbidden(&self) {
        self.rearm("DMS answered 403 to a request for a lease");
    }
}

impl MembershipTask {
    /// Runs until `stop` fires.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let registration = async {
            if let Some(task) = self.registration {
                task.run(stop.clone()).await;
            }
        };
        // Side by side: a login waits for the registration, and the registration goes on after it.
        tokio::join!(registration, self.refresher.run(stop.clone()));
    }
}

#[cfg(test)]
mod tests;
