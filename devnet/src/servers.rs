//! What the three servers share while they run.

use std::sync::Arc;

use http::HeaderMap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::clock::ServerClock;
use crate::config::DevnetConfig;
use crate::faults::rules::Faults;
use crate::request::bearer;
use crate::request_log::RequestLog;
use crate::response::ApiError;
use crate::state::queue::JobQueue;
use crate::state::registry::MachineRegistry;
use crate::state::sessions::UploadSessions;
use crate::state::store::DataStore;
use crate::tokens::{TokenGrant, TokenTable};

/// The state of DDS, DMS and the domain server. Locks are held for a moment only and never across an
/// `await`; code that needs two takes them in the order of these fields.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) config: DevnetConfig,
    /// The base URL of all roles.
    pub(crate) base_url: Url,
    pub(crate) clock: ServerClock,
    /// Cancelled when the devnet shuts down.
    pub(crate) stop: CancellationToken,
    /// The state of DDS.
    pub(crate) registry: MachineRegistry,
    /// The state of DMS.
    pub(crate) queue: JobQueue,
    /// The data of all domains; shared with downloads, which outlive their request's function.
    pub(crate) store: Arc<DataStore>,
    pub(crate) sessions: UploadSessions,
    pub(crate) tokens: TokenTable,
    pub(crate) faults: Faults,
    pub(crate) requests: RequestLog,
    /// Notified after every change that a test may be waiting for.
    changes: watch::Sender<()>,
}

impl Servers {
    pub(crate) fn new(config: DevnetConfig, base_url: Url, store: DataStore) -> Self {
        Self {
            base_url,
            clock: ServerClock::new(config.clock_offset_ms),
            stop: CancellationToken::new(),
            registry: MachineRegistry::new(),
            queue: JobQueue::default(),
            store: Arc::new(store),
            sessions: UploadSessions::default(),
            tokens: TokenTable::default(),
            faults: Faults::new(config.seed),
            requests: RequestLog::default(),
            changes: watch::Sender::new(()),
            config,
        }
    }

    /// The base URL as text, without a trailing slash.
    pub(crate) fn base(&self) -> &str {
        self.base_url.as_str().trim_end_matches('/')
    }

    /// Wakes everybody who waits for a change.
    pub(crate) fn changed(&self) {
        self.changes.send_replace(());
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// What the bearer token of a request grants now.
    pub(crate) fn grant(&self, headers: &HeaderMap) -> Result<TokenGrant, ApiError> {
        let token = bearer(headers).ok_or_else(|| ApiError::unauthorized("missing bearer token"))?;
        self.tokens.check(token).ok_or_else(|| ApiError::unauthorized("invalid or expired token"))
    }

    /// Refuses requests without the token of the application.
    pub(crate) fn require_app(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        match self.grant(headers)? {
            TokenGrant::App => Ok(()),
            _ => Err(ApiError::unauthorized("not a token for this API")),
        }
    }
}
