//! The configuration (protocol 8, and variables of our own), in two stages: the raw [`Environment`], and
//! a [`Config`] that is checked as a whole and does not change.
//!
//! Every variable is trimmed, and one that is set but blank counts as unset.

mod environment;
mod groups;
mod identity;
mod loading;
mod problem;
mod reader;
mod status;
#[cfg(test)]
mod tests;
mod url;

use std::net::SocketAddr;
use std::time::Duration;

use ::url::Url;

pub use environment::{EnvFileError, Environment, Source, environment};
pub use groups::{
    HeartbeatConfig, LogConfig, PathsConfig, PollConfig, RegistrationConfig, StorageConfig, TokenConfig,
};
pub use identity::Identity;
pub use problem::{Problem, Problems};
pub use reader::{REDACTED, Reader, Setting};
pub use status::{StatusConfig, USUAL_ADDR};
pub use url::is_private;

use posemesh_plugin_host::component::LoaderSettings;

use groups::{check_proxies, printable_ascii};

/// The crate's version: what `NODE_VERSION` is when nobody sets it.
pub const CRATE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The configuration of a node that runs. Secrets in it do not print.
#[derive(Debug, Clone)]
pub struct Config {
    /// `DMS_BASE_URL`.
    pub dms_base_url: Url,
    /// `DDS_BASE_URL`.
    pub dds_base_url: Url,
    /// `ALLOW_INSECURE_HTTP`: plain http may leave the machine. See [`is_private`].
    pub allow_insecure_http: bool,
    /// `REQUEST_TIMEOUT_SECS`: the whole of one request to DDS or DMS.
    pub request_timeout: Duration,
    /// `NODE_VERSION` as given.
    pub node_version: String,
    /// `CLIENT_ID`: the same for all requests of this node, so that the server's accounting sees one client
    /// (protocol 6). Unless it is set it follows from the wallet's address; a robot's is new at each start.
    pub client_id: String,
    /// Who the node is.
    pub identity: Identity,
    /// When heartbeats are due.
    pub heartbeat: HeartbeatConfig,
    /// How long to wait between polls.
    pub poll: PollConfig,
    /// When machine tokens are renewed.
    pub token: TokenConfig,
    /// How the node registers.
    pub registration: RegistrationConfig,
    /// `MAX_CONCURRENCY`: tasks at a time.
    pub max_concurrency: u32,
    /// How it deals with domain servers.
    pub storage: StorageConfig,
    /// `SHUTDOWN_GRACE_SECS`: how long tasks may go on after the node was asked to stop.
    pub shutdown_grace: Duration,
    /// `ENABLE_NOOP`: whether the built-in runner that only sleeps is served.
    pub enable_noop: bool,
    /// `NOOP_SLEEP_SECS`: how long it sleeps.
    pub noop_sleep: Duration,
    /// Where things lie on disk.
    pub paths: PathsConfig,
    /// What loading a runner may cost, and where compiled ones are kept.
    pub loader: LoaderSettings,
    /// Where the node tells about itself.
    pub status: StatusConfig,
    /// `LEGACY_HTTP_ADDR`: where the routes of protocol 1.10 are served.
    pub legacy_http_addr: Option<SocketAddr>,
    /// How the log looks.
    pub log: LogConfig,
    settings: Vec<Setting>,
}

impl Config {
    /// Checks everything and takes it over.
    ///
    /// # Errors
    /// With all problems at once.
    pub fn load(environment: &Environment) -> Result<Self, Problems> {
        let mut reader = Reader::new(environment);
        let read = Self::read(&mut reader);
        let (settings, problems) = reader.finish();
        match read {
            Some(config) if problems.is_empty() => Ok(Self { settings, ..config }),
            _ => Err(Problems(problems)),
        }
    }

    /// The effective configuration, a line a variable, in the order in which the variables are read.
    pub fn effective(&self) -> &[Setting] {
        &self.settings
    }

    /// Reads all groups before it gives up on one, so that every problem is found. A group of settings
    /// that is added gets a function like those in `groups`.
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let plain = reader.boolean("ALLOW_INSECURE_HTTP", false);
        let dms = url::base_url(reader, "DMS_BASE_URL", "https://dms.auki.network/v1", plain);
        let dds = url::base_url(reader, "DDS_BASE_URL", "https://dds.auki.network", plain);
        let identity = identity::read(reader);
        let paths = PathsConfig::read(reader);
        check_proxies(reader);
        let request_timeout = reader.seconds("REQUEST_TIMEOUT_SECS", 60, 1..=3600);
        let node_version = reader.value("NODE_VERSION", CRATE_VERSION.to_owned(), printable_ascii);
        let client_id = identity::client_id(identity.as_ref());
        let client_id = reader.value("CLIENT_ID", client_id, printable_ascii);
        let heartbeat = HeartbeatConfig::read(reader);
        let poll = PollConfig::read(reader);
        let token = TokenConfig::read(reader);
        let registration = RegistrationConfig::read(reader);
        let log = LogConfig::read(reader);
        let max_concurrency = reader.integer("MAX_CONCURRENCY", 1, 1..=256);
        let storage = StorageConfig::read(reader);
        let shutdown_grace = reader.seconds("SHUTDOWN_GRACE_SECS", 30, 0..=3600);
        let enable_noop = reader.boolean("ENABLE_NOOP", false);
        let noop_sleep = reader.seconds("NOOP_SLEEP_SECS", 5, 0..=86_400);
        let loader = loading::read(reader, paths.as_ref());
        let status = StatusConfig::read(reader);
        let legacy_http_addr = reader.address("LEGACY_HTTP_ADDR");
        if let (Some(addr), Some(Identity::Robot { .. })) = (legacy_http_addr, &identity) {
            let message = "a robot has no such routes: unset it".to_owned();
            reader.problem("LEGACY_HTTP_ADDR", Some(&addr.to_string()), message);
        }
        Some(Self {
            dms_base_url: dms?,
            dds_base_url: dds?,
            allow_insecure_http: plain,
            request_timeout,
            node_version,
            client_id,
            identity: identity?,
            heartbeat,
            poll,
            token,
            registration,
            max_concurrency,
            storage,
            shutdown_grace,
            enable_noop,
            noop_sleep,
            paths: paths?,
            loader,
            status,
            legacy_http_addr,
            log,
            settings: Vec::new(),
        })
    }
}
