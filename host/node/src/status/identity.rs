//! Which node answers at an address.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::build::COMMIT;

/// Which node answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeIdentity {
    /// The id of its process.
    pub pid: u32,
    /// The version of the program.
    pub version: String,
    /// The commit that it was built from; `unknown` if the build did not say.
    #[serde(default)]
    pub commit: String,
    /// Its `PLUGINS_DIR`, without links and relative parts.
    pub plugins_dir: PathBuf,
    /// Its `STATUS_ADDR`; none if it is off, or chose a port.
    #[serde(default)]
    pub status_addr: Option<SocketAddr>,
    /// Where its control socket is; none if it has none.
    #[serde(default)]
    pub control_socket: Option<PathBuf>,
}

impl NodeIdentity {
    /// Whether it is a node with this `PLUGINS_DIR`.
    pub(crate) fn is_of(&self, plugins_dir: &Path) -> bool {
        plugins_dir.canonicalize().is_ok_and(|meant| meant == self.plugins_dir)
    }

    /// This process, with this `PLUGINS_DIR`, `STATUS_ADDR` and control socket.
    pub(crate) fn of(plugins_dir: &Path, status_addr: Option<SocketAddr>, socket: Option<&Path>) -> Self {
        Self {
            control_socket: socket.and_then(|path| std::path::absolute(path).ok()),
            status_addr: status_addr.filter(|addr| addr.port() != 0),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: COMMIT.to_owned(),
            plugins_dir: plugins_dir.canonicalize().unwrap_or_else(|_| plugins_dir.to_owned()),
        }
    }
}
