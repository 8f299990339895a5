//! Where the status server listens, and who may command the node.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::control::SocketPlace;
use posemesh_net::secret::Secret;

/// Where the status server of a node listens unless `STATUS_ADDR` is set.
pub const DEFAULT_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8090);

/// Where the status server listens, and who may command the node.
#[derive(Debug, Clone)]
pub(crate) struct StatusSettings {
    /// Where it listens; nowhere if none.
    pub(crate) addr: Option<SocketAddr>,
    /// The bearer of admin calls; without one there are no admin calls.
    pub(crate) admin_token: Option<Secret>,
    /// The bearer of calls from other machines that read; without one they can't.
    pub(crate) status_token: Option<Secret>,
    /// Where the Unix socket is.
    pub(crate) socket: SocketPlace,
}

impl Default for StatusSettings {
    fn default() -> Self {
        Self {
            addr: Some(DEFAULT_ADDR),
            admin_token: None,
            status_token: None,
            socket: SocketPlace::default(),
        }
    }
}
