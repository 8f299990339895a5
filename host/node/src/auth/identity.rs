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
}
