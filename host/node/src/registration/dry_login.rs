//! A login that is tried without a registration: for an operator who asks whether it would work.

use std::sync::Arc;

use super::membership::MembershipSettings;
use super::wallet::{SignIn, SignedLogin as _};
use crate::auth::dds::{DdsClient, DdsError};
use crate::auth::identity::Identity;
use crate::auth::login::MachineToken;
use posemesh_net::clock::SystemClock;

/// Logs in once. DDS registers nothing by it, and a node that runs keeps its own token.
///
/// # Errors
/// As the client of DDS reports it, or when the node does not sign what DDS asks for.
pub(crate) async fn dry_login(settings: &MembershipSettings) -> Result<MachineToken, DdsError> {
    let dds = DdsClient::new(settings.dds_base_url.clone(), settings.request_timeout)?;
    match &settings.identity {
        Identity::Wallet { wallet, .. } => {
            let clock = Arc::new(SystemClock);
            SignIn::new(dds, Arc::clone(wallet), &settings.signing, clock).login().await
        }
        Identity::Robot { credentials } => dds.verify_robot(credentials).await,
    }
}
