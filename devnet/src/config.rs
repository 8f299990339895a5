//! The settings of a devnet.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The settings of a devnet. `Default` has the values that protocol section 9 recommends, a free port of
/// the loopback interface and a temporary data directory.
///
/// ```
/// use std::time::Duration;
///
/// use posemesh_devnet::DevnetConfig;
///
/// // Short leases, to test what happens when one expires.
/// let config = DevnetConfig { lease_ttl: Duration::from_secs(2), ..DevnetConfig::default() };
/// assert!(config.addr.ip().is_loopback());
/// ```
#[derive(Debug, Clone)]
pub struct DevnetConfig {
    /// The address to listen on. One listener serves all three roles.
    pub addr: SocketAddr,
    /// Directory of the blobs, their metadata and the identities; a devnet restarted on the same directory
    /// has them again. None: a temporary directory that is removed at shutdown.
    pub data_dir: Option<PathBuf>,
    /// How far the servers' clock is ahead of real time, in milliseconds; negative values put it behind.
    /// Leases and tokens live as long as without an offset; only dates change.
    pub clock_offset_ms: i64,
    /// Seed of the random numbers behind [`crate::Fault::probability`].
    pub seed: u64,

    /// Lifetime of a SIWE nonce.
    pub nonce_ttl: Duration,
    /// Lifetime of a machine token (of a node or a robot).
    pub machine_token_ttl: Duration,

    /// Lifetime of a lease after its last heartbeat.
    pub lease_ttl: Duration,
    /// Lifetime of a task token.
    pub task_token_ttl: Duration,
    /// Whether every heartbeat answers with a new task token. If not, a new one comes when less than a
    /// third of the current token's lifetime remains.
    pub rotate_task_token_on_heartbeat: bool,
    /// How long a replaced task token is still accepted. Requests that began earlier are not interrupted.
    pub task_token_overlap: Duration,
    /// Interval of the search for expired leases, tokens and upload sessions.
    pub sweep_interval: Duration,
    /// `max_attempts` of tasks that set none.
    pub max_attempts: u32,
    /// Leases that a node may hold at once; `GET /tasks` beyond that answers 409. The real DMS allows 1.
    pub leases_per_node: usize,

    /// Largest body of a single create or update request, in bytes.
    pub request_max_bytes: u64,
    /// Largest domain data, in bytes, however it is uploaded.
    pub domain_data_max_bytes: u64,
    /// Part size that upload sessions prescribe, in bytes.
    pub part_size: u64,
    /// Whether upload sessions (multipart uploads) are offered.
    pub multipart_enabled: bool,
    /// Status that answers a request for an upload session when none are offered: 404, 405 or 501.
    pub multipart_disabled_status: u16,
    /// Lifetime of an upload session.
    pub upload_session_ttl: Duration,
}

impl Default for DevnetConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data_dir: None,
            clock_offset_ms: 0,
            seed: 0,
            nonce_ttl: Duration::from_secs(300),
            machine_token_ttl: Duration::from_secs(300),
            lease_ttl: Duration::from_secs(60),
            task_token_ttl: Duration::from_secs(180),
            rotate_task_token_on_heartbeat: true,
            task_token_overlap: Duration::ZERO,
            sweep_interval: Duration::from_secs(30),
            max_attempts: 3,
            leases_per_node: 1,
            request_max_bytes: 10 << 20,
            domain_data_max_bytes: 10 << 30,
            part_size: 8 << 20,
            multipart_enabled: true,
            multipart_disabled_status: 404,
            upload_session_ttl: Duration::from_secs(3600),
        }
    }
}
