//! What the three servers share while they run.

use std::sync::Arc;

use axum::body::Body;
use http::HeaderMap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::clock::Clock;
use crate::config::DevnetConfig;
use crate::dds::Dds;
use crate::dms::Dms;
use crate::domain::session::Sessions;
use crate::domain::store::Store;
use crate::faults::Faults;
use crate::record::Recorder;
use crate::reply::{Refusal, bearer};
use crate::route::{Query, Route};
use crate::tokens::{Grant, Tokens};

/// A running devnet. Locks are held for a moment only and never across an `await`; who needs two takes
/// them in the order of these fields.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: DevnetConfig,
    /// The base URL of all roles, without a slash at its end.
    pub(crate) base_url: Url,
    pub(crate) clock: Clock,
    pub(crate) stop: CancellationToken,
    pub(crate) dds: Dds,
    pub(crate) dms: Dms,
    pub(crate) store: Arc<Store>,
    pub(crate) sessions: Sessions,
    pub(crate) tokens: Tokens,
    pub(crate) faults: Faults,
    pub(crate) recorder: Recorder,
    /// Told after every change that somebody may be waiting for.
    changes: watch::Sender<()>,
}

impl Core {
    pub(crate) fn new(
        config: DevnetConfig,
        base_url: Url,
        dds: Dds,
        store: Store,
        stop: CancellationToken,
    ) -> Self {
        Self {
            clock: Clock::new(config.clock_offset_ms),
            base_url,
            stop,
            dds,
            dms: Dms::default(),
            store: Arc::new(store),
            sessions: Sessions::default(),
            tokens: Tokens::default(),
            faults: Faults::new(config.seed),
            recorder: Recorder::new(config.max_records),
            changes: watch::Sender::new(()),
            config,
        }
    }

    /// The base URL as text without a slash at its end.
    pub(crate) fn base(&self) -> &str {
        self.base_url.as_str().trim_end_matches('/')
    }

    /// Wakes who waits for a change.
    pub(crate) fn changed(&self) {
        self.changes.send_replace(());
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// What the bearer token of a request grants now.
    pub(crate) fn grant(&self, headers: &HeaderMap) -> Result<Grant, Refusal> {
        let token = bearer(headers).ok_or_else(|| Refusal::unauthorized("missing bearer token"))?;
        self.tokens.check(token).ok_or_else(|| Refusal::unauthorized("invalid or expired token"))
    }

    /// Requires the application's token.
    pub(crate) fn require_app(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        match self.grant(headers)? {
            Grant::App => Ok(()),
            _ => Err(Refusal::unauthorized("not a token for this API")),
        }
    }
}

/// A request on its way to its endpoint.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) route: Route,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}
