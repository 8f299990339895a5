//! Puts together what the configured identity needs: a token manager in any case, and for a wallet the
//! registration loop.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::RegistrationStatus;
use super::machine::{Registration, RegistrationTask};
use super::robot::RobotLogin;
use super::version::normalise;
use super::wallet::{SignIn, WalletLogin, WalletRegistrar};
use crate::auth::dds::{DdsClient, DdsError};
use crate::auth::login::Login;
use crate::auth::token::{TokenManager, TokenRefresher, TokenStatus};
use crate::auth::{AuthError, MachineAuth};
use crate::config::{Config, Identity};
use posemesh_net::clock::SharedClock;
use posemesh_net::secret::Secret;

/// The node's standing with DDS, and its bearer for DMS.
#[derive(Debug)]
pub struct Membership {
    tokens: TokenManager,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Wallet(Registration),
    Robot(Arc<RobotLogin>),
}

/// What keeps a [`Membership`] alive.
#[must_use = "without the task the node neither registers nor logs in"]
pub struct MembershipTask {
    refresher: TokenRefresher,
    registration: Option<RegistrationTask>,
}

impl Membership {
    /// A node that is not registered yet, and the task that gets it there: run it. `capabilities` are
    /// those of the live runners; DDS is told whenever they change.
    ///
    /// # Errors
    /// When the HTTP client can't be made.
    pub fn new(
        config: &Config,
        capabilities: watch::Receiver<BTreeSet<String>>,
        clock: SharedClock,
    ) -> Result<(Arc<Self>, MembershipTask), DdsError> {
        let dds = DdsClient::new(config.dds_base_url.clone(), config.request_timeout)?;
        let (login, kind, registration): (Arc<dyn Login>, _, _) = match &config.identity {
            Identity::Wallet { reg_secret, wallet } => {
                let public_key_prefix = wallet.public_key_prefix();
                tracing::info!(address = wallet.address(), public_key_prefix, "the node has a wallet");
                let sign_in =
                    Arc::new(SignIn::new(dds, Arc::clone(wallet), &config.registration, Arc::clone(&clock)));
                let registrar = WalletRegistrar {
                    sign_in: Arc::clone(&sign_in),
                    credentials: reg_secret.clone(),
                    version: normalise(&config.node_version),
                };
                let (registration, task) =
                    Registration::new(Arc::new(registrar), capabilities, &config.registration);
                let login = WalletLogin::new(sign_in, registration.clone());
                (Arc::new(login), Kind::Wallet(registration), Some(task))
            }
            Identity::Robot { credentials } => {
                tracing::info!("the node is a robot");
                let version = config.node_version.clone();
                let login = Arc::new(RobotLogin::new(dds, credentials.clone(), version, capabilities));
                (login.clone(), Kind::Robot(login), None)
            }
        };
        let (tokens, refresher) = TokenManager::new(login, config.token, clock);
        Ok((Arc::new(Self { tokens, kind }), MembershipTask { refresher, registration }))
    }

    /// The registration's status, now and as it changes.
    pub fn status(&self) -> watch::Receiver<RegistrationStatus> {
        match &self.kind {
            Kind::Wallet(registration) => registration.status(),
            Kind::Robot(robot) => robot.status(),
        }
    }

    /// What can be told of the machine token.
    pub fn token_status(&self) -> TokenStatus {
        self.tokens.status()
    }

    /// Registers again, since somebody who should know says that the node is unknown.
    pub fn rearm(&self, reason: &str) {
        match &self.kind {
            Kind::Wallet(registration) => registration.rearm(reason),
            Kind::Robot(robot) => robot.rearm(reason),
        }
    }

    /// For the legacy inbound routes (protocol 1.10): none for a robot, which has none.
    pub fn registration(&self) -> Option<&Registration> {
        match &self.kind {
            Kind::Wallet(registration) => Some(registration),
            Kind::Robot(_) => None,
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

    fn on_forbidden(&self) {
        self.rearm("DMS answered 403 to a request for a lease");
    }
}

impl MembershipTask {
    /// Runs until `stop` fires.
    pub async fn run(self, stop: CancellationToken) {
        let registration = async {
            if let Some(task) = self.registration {
                task.run(stop.clone()).await;
            }
        };
        tokio::join!(registration, self.refresher.run(stop.clone()));
    }
}
