//! Who is there from the start, and is the same after a restart on the same directory.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::dds::Identity;
use crate::error::DevnetError;

/// The default domain, node and robot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Identities {
    pub(crate) domain_id: Uuid,
    pub(crate) node: Identity,
    pub(crate) robot: Identity,
}

impl Identities {
    /// Reads them, or makes them up.
    pub(crate) async fn open(root: &Path) -> Result<Self, DevnetError> {
        let path = root.join("devnet.json");
        match tokio::fs::read(&path).await {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| DevnetError::State { path, reason: error.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (node, robot) = (Identity::new(), Identity::new());
                let made = Self { domain_id: Uuid::new_v4(), node, robot };
                let text = serde_json::to_vec_pretty(&made).map_err(io::Error::other);
                let text = text.map_err(DevnetError::file("write", &path))?;
                tokio::fs::write(&path, text).await.map_err(DevnetError::file("write", &path))?;
                Ok(made)
            }
            Err(error) => Err(DevnetError::file("read", path)(error)),
        }
    }
}
