//! The domain, node and robot that every devnet has from its start. They are kept in the data directory, so
//! that a restarted devnet still knows the credentials of the nodes that are configured for it.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::DevnetError;
use crate::state::credentials::MachineIdentity;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DefaultIdentities {
    pub(crate) domain_id: Uuid,
    pub(crate) node: MachineIdentity,
    pub(crate) robot: MachineIdentity,
}

impl DefaultIdentities {
    /// Reads the identities from a data directory, or creates them there.
    pub(crate) async fn open(root: &Path) -> Result<Self, DevnetError> {
        let path = root.join("devnet.json");
        match tokio::fs::read(&path).await {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| DevnetError::State { path, reason: error.to_string() }),
            // A file that can't be read or parsed is an error instead: new identities would lock out the
            // nodes that are configured for the old ones.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (node, robot) = (MachineIdentity::new(), MachineIdentity::new());
                let identities = Self { domain_id: Uuid::new_v4(), node, robot };
                let text = serde_json::to_vec_pretty(&identities).map_err(io::Error::other);
                let text = text.map_err(DevnetError::file("write", &path))?;
                tokio::fs::write(&path, text).await.map_err(DevnetError::file("write", &path))?;
                Ok(identities)
            }
            Err(error) => Err(DevnetError::file("read", path)(error)),
        }
    }
}
