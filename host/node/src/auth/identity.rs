//! How the node proves who it is: by a wallet, or as a robot (protocol 1.1 and 1.9).

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use crate::auth::wallet::Wallet;
use posemesh_net::secret::Secret;

/// How the node proves who it is.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    /// A node with a wallet, which signs in with Ethereum.
    Wallet {
        /// `registration_credentials` on the wire.
        reg_secret: Secret,
        /// Signs what DDS asks for.
        wallet: Arc<Wallet>,
    },
    /// A robot, which shows its credentials.
    Robot {
        /// Opaque: sent to DDS as they are.
        credentials: Secret,
    },
}

impl Identity {
    /// The client id of a node that was given none (protocol 6).
    ///
    /// Domain servers charge by client, so a wallet keeps its id over restarts and machines. What a robot has
    /// that stays is a secret, of which not even a hash is shown: its id is new at each start.
    pub(crate) fn client_id(&self) -> String {
        let id = match self {
            Self::Wallet { wallet, .. } => {
                let digest = Sha256::digest(format!("posemesh-client-id:{}", wallet.address()));
                let mut bytes = [0; 16];
                bytes.copy_from_slice(digest.split_at(16).0);
                Builder::from_custom_bytes(bytes).into_uuid()
            }
            Self::Robot { .. } => Uuid::new_v4(),
        };
        format!("posemesh-compute-node/{id}")
    }

    /// What tells this identity from others of the same job server, beyond one process. Never shown: of a robot it is a
    /// hash of its credentials, since it has nothing public that stays.
    pub(crate) fn mark(&self) -> String {
        match self {
            Self::Wallet { wallet, .. } => wallet.address().to_owned(),
            Self::Robot { credentials } => {
                // Of a purpose of its own, so that it equals no other hash of the credentials.
                let digest = Sha256::new().chain_update("posemesh-lease-owner:");
                format!("robot {}", hex::encode(digest.chain_update(credentials.expose()).finalize()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn robots_are_told_apart_by_what_they_log_in_with() {
        let robot = |credentials| Identity::Robot { credentials: Secret::new(credentials) }.mark();
        assert_eq!(robot("one"), robot("one"), "it stays the same");
        assert_ne!(robot("one"), robot("two"));
        assert!(!robot("one-secret").contains("one-secret"));
    }
}
