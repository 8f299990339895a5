//! A membership whose discovery service is simulated: the same registration loop, login and token manager, without HTTP.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use posemesh_net::clock::SharedClock;
use tokio::sync::watch;

use super::{IdentityKind, Membership, MembershipTask};
use crate::auth::dds::DdsError;
use crate::auth::login::MachineToken;
use crate::auth::token::{TokenManager, TokenSettings};
use crate::registration::settings::RegistrationSettings;
use crate::registration::task::{Registrar, RegistrationTask};
use crate::registration::wallet::{SignedLogin, WalletLogin};

/// A discovery service without a network.
#[async_trait]
pub(crate) trait SimulatedDds: std::fmt::Debug + Send + Sync + 'static {
    /// Registers the node.
    ///
    /// # Errors
    /// As the client of DDS would report it.
    async fn register(&self, capabilities: &[String]) -> Result<(), DdsError>;

    /// Logs the node in.
    ///
    /// # Errors
    /// As the client of DDS would report it.
    async fn login(&self) -> Result<MachineToken, DdsError>;
}

/// Passes a wallet's calls on to the simulated service.
#[derive(Debug)]
struct SimulatedWallet(Arc<dyn SimulatedDds>);

#[async_trait]
impl Registrar for SimulatedWallet {
    async fn register(&self, capabilities: &[String]) -> Result<(), DdsError> {
        self.0.register(capabilities).await
    }

    fn version(&self) -> &str {
        "0.0.0"
    }
}

#[async_trait]
impl SignedLogin for SimulatedWallet {
    async fn login(&self) -> Result<MachineToken, DdsError> {
        self.0.login().await
    }
}

impl Membership {
    /// A wallet's membership at a simulated discovery service, and the task that registers it and logs it in.
    pub(crate) fn simulated(
        dds: Arc<dyn SimulatedDds>,
        capabilities: watch::Receiver<BTreeSet<String>>,
        (registration, token): (RegistrationSettings, TokenSettings),
        clock: SharedClock,
    ) -> (Arc<Self>, MembershipTask) {
        let wallet = Arc::new(SimulatedWallet(dds));
        let (registration, task) = RegistrationTask::new(wallet.clone(), capabilities, registration);
        let login = WalletLogin::new(wallet, registration.clone());
        let (tokens, refresher) = TokenManager::new(Arc::new(login), token, clock);
        let membership = Self { tokens, kind: IdentityKind::Wallet(registration) };
        (Arc::new(membership), MembershipTask { refresher, registration: Some(task) })
    }
}
