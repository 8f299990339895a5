//! A node with a wallet: what both its registration and its login do first, and the login (protocol 1.2
//! to 1.8).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use async_trait::async_trait;
use time::Duration;

use super::state::Registration;
use super::task::Registrar;
use crate::auth::dds::{DdsCall, DdsClient, DdsError};
use crate::auth::login::{Login, LoginError, MachineToken};
use crate::auth::siwe::{SignPolicy, SigningSettings, SiweFormat, compose};
use crate::auth::wallet::Wallet;
use posemesh_net::clock::SharedClock;
use posemesh_net::secret::Secret;

/// Consecutive verify calls, each with a fresh nonce, that may be answered 401 before the node registers again.
const UNAUTHORIZED_IN_A_ROW: u32 = 3;
/// How far the clocks of node and DDS may differ without a warning.
const TOLERATED_SKEW: Duration = Duration::MINUTE;

/// Gets a nonce, checks what it is for, and signs.
#[derive(Debug)]
pub(super) struct SignIn {
    /// The DDS that is signed for.
    pub(super) dds: DdsClient,
    /// The key that signs.
    pub(super) wallet: Arc<Wallet>,
    policy: SignPolicy,
    format: SiweFormat,
    clock: SharedClock,
}

impl SignIn {
    /// Signs for the DDS of `dds` only.
    pub(super) fn new(
        dds: DdsClient,
        wallet: Arc<Wallet>,
        settings: &SigningSettings,
        clock: SharedClock,
    ) -> Self {
        let policy = SignPolicy::new(dds.base(), settings);
        Self { dds, wallet, policy, format: settings.format, clock }
    }

    /// A message with a fresh nonce, and its signature.
    ///
    /// # Errors
    /// When DDS gives no nonce, or asks for something that the node does not sign.
    pub(super) async fn sign(&self) -> Result<(String, String), DdsError> {
        // A nonce is good for one signature only, so every attempt starts with a fresh one.
        let challenge = self.dds.nonce(self.wallet.address()).await?;
        let skew = self.policy.check(&challenge, self.clock.now())?;
        if skew.abs() > TOLERATED_SKEW {
            let ahead_secs = -skew.whole_seconds();
            tracing::warn!(ahead_secs, "the node's clock differs from the clock of DDS; set it");
        }
        let message = compose(&challenge, &self.wallet, &[], self.format)?;
        let signature = self.wallet.sign(&message).map_err(|error| DdsError::Sign(error.to_string()))?;
        Ok((message, signature))
    }
}

/// Registers a wallet.
#[derive(Debug)]
pub(super) struct WalletRegistrar {
    /// The wallet that registers.
    pub(super) sign_in: Arc<SignIn>,
    /// `REG_SECRET`.
    pub(super) credentials: Secret,
    /// As semver.
    pub(super) version: String,
}

#[async_trait]
impl Registrar for WalletRegistrar {
    async fn register(&self, capabilities: &[String]) -> Result<(), DdsError> {
        let wallet_prefix: String = self.sign_in.wallet.address().chars().take(10).collect();
        let version = self.version.as_str();
        let shown = capabilities.join(",");
        tracing::info!(wallet_prefix, version, capabilities = shown, "Registering node with DDS");
        let (message, signature) = self.sign_in.sign().await?;
        let dds = &self.sign_in.dds;
        dds.register_wallet(&message, &signature, &self.credentials, capabilities, version).await
    }

    fn version(&self) -> &str {
        &self.version
    }
}

/// One login of a wallet. The simulation has one without HTTP.
#[async_trait]
pub(super) trait SignedLogin: std::fmt::Debug + Send + Sync + 'static {
    /// Signs a message with a fresh nonce, and has it verified.
    ///
    /// # Errors
    /// As the client of DDS reports it, or when the node does not sign what DDS asks for.
    async fn login(&self) -> Result<MachineToken, DdsError>;
}

#[async_trait]
impl SignedLogin for SignIn {
    async fn login(&self) -> Result<MachineToken, DdsError> {
        let (message, signature) = self.sign().await?;
        self.dds.verify(self.wallet.address(), &message, &signature).await
    }
}

/// Logs a wallet in, once it is registered, and again after each registration: the token tells DMS the node's
/// capabilities.
#[derive(Debug)]
pub(super) struct WalletLogin {
    sign_in: Arc<dyn SignedLogin>,
    registration: Registration,
    unauthorized: AtomicU32,
    /// How many registrations there had been at the latest login.
    seen: AtomicU64,
}

impl WalletLogin {
    /// A login that waits for `registration`.
    pub(super) fn new(sign_in: Arc<dyn SignedLogin>, registration: Registration) -> Self {
        Self { sign_in, registration, unauthorized: AtomicU32::new(0), seen: AtomicU64::new(0) }
    }

    /// Registers again when the answer of a verify call says that DDS does not know the node.
    fn rearm_if_unknown(&self, error: &DdsError) {
        if error.answered(DdsCall::Verify, &[401]) {
            // A single 401 may be a nonce that ran out on the way; it does not prove that the node is unknown.
            if self.unauthorized.fetch_add(1, Ordering::Relaxed) + 1 >= UNAUTHORIZED_IN_A_ROW {
                self.unauthorized.store(0, Ordering::Relaxed);
                self.registration.rearm("login answered 401 to several fresh nonces");
            }
            return;
        }
        if error.answered(DdsCall::Verify, &[403, 404, 410]) {
            self.registration.rearm("login says that the node is not registered");
        }
        // Any other answer ends the row. A failed connection says nothing, and leaves the count as it is.
        if error.status().is_some() {
            self.unauthorized.store(0, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl Login for WalletLogin {
    async fn login(&self) -> Result<MachineToken, LoginError> {
        // The count is read before the login, so that a registration during it makes another login due.
        let registrations = self.registration.login_open().await;
        match self.sign_in.login().await {
            Ok(granted) => {
                self.unauthorized.store(0, Ordering::Relaxed);
                self.seen.store(registrations, Ordering::Relaxed);
                self.registration.logged_in();
                Ok(granted)
            }
            Err(error) => {
                self.rearm_if_unknown(&error);
                Err(error.into())
            }
        }
    }

    async fn wanted(&self) {
        self.registration.registered_after(self.seen.load(Ordering::Relaxed)).await;
    }
}
