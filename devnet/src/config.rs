//! What a devnet can be told before it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

/// The settings of a devnet. `Default` gives the values that protocol section 9 recommends, on a free
/// port of the loopback interface and with a temporary data directory.
#[derive(Debug, Clone)]
pub struct DevnetConfig {
    /// Where to listen. One listener serves all three roles.
    pub addr: SocketAddr,
    /// The base URL told to others, when it is not `http://` and the address that was bound.
    pub public_url: Option<Url>,
    /// Where blobs, their metadata and the identities lie. A devnet started again on the same directory
    /// finds them. None: a temporary directory that goes with the devnet.
    pub data_dir: Option<PathBuf>,
    /// How far every timestamp of the servers is ahead of the real time, in milliseconds; negative is
    /// behind.
    pub clock_offset_ms: i64,
    /// The seed of everything that faults leave to chance.
    pub seed: u64,
    /// How many requests are remembered; the oldest go first.
    pub max_records: usize,
    /// The largest JSON body that is read.
    pub json_max_bytes: usize,

    /// How long a SIWE nonce can be used.
    pub nonce_ttl: Duration,
    /// How long a machine token (of a node or a robot) lives.
    pub machine_token_ttl: Duration,

    /// How long a lease lives without a heartbeat.
    pub lease_ttl: Duration,
    /// How long a task token lives.
    pub task_token_ttl: Duration,
    /// Whether every heartbeat hands out a new task token. If not, one comes when a third of the life of
    /// the current one is left.
    pub rotate_task_token_on_heartbeat: bool,
    /// How long a replaced task token is still taken. Requests that began before are not cut off.
    pub task_token_overlap: Duration,
    /// How often expired leases, tokens and upload sessions are looked for.
    pub sweep_interval: Duration,
    /// `max_attempts` of tasks that name none.
    pub max_attempts: u32,
    /// How many leases a node may hold at once; with more, `GET /tasks` answers 409. DMS itself: 1.
    pub leases_per_node: usize,
    /// Whether jobs are refused (400) while no worker has polled yet.
    pub require_polled_worker: bool,
    /// How many events are kept for a task; the oldest go first.
    pub max_events: usize,

    /// The largest body of a single create or update request.
    pub request_max_bytes: u64,
    /// The largest domain data, however it is uploaded.
    pub domain_data_max_bytes: u64,
    /// The part size that multipart sessions are given.
    pub part_size: u64,
    /// Whether multipart sessions are offered.
    pub multipart_enabled: bool,
    /// What is answered to them when they are not: 404, 405 or 501.
    pub multipart_disabled_status: u16,
    /// How long an upload session lives.
    pub upload_session_ttl: Duration,
}

impl Default for DevnetConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            public_url: None,
            data_dir: None,
            clock_offset_ms: 0,
            seed: 0,
            max_records: 100_000,
            json_max_bytes: 1 << 20,
            nonce_ttl: Duration::from_secs(300),
            machine_token_ttl: Duration::from_secs(300),
            lease_ttl: Duration::from_secs(60),
            task_token_ttl: Duration::from_secs(180),
            rotate_task_token_on_heartbeat: true,
            task_token_overlap: Duration::ZERO,
            sweep_interval: Duration::from_secs(30),
            max_attempts: 3,
            leases_per_node: 1,
            require_polled_worker: false,
            max_events: 1000,
            request_max_bytes: 10 << 20,
            domain_data_max_bytes: 10 << 30,
            part_size: 8 << 20,
            multipart_enabled: true,
            multipart_disabled_status: 404,
            upload_session_ttl: Duration::from_secs(3600),
        }
    }
}
