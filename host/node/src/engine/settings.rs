//! What the engine is told by the configuration (protocol 8).

use std::time::Duration;

use crate::lease::LeaseSettings;

/// How the node takes work.
#[derive(Debug, Clone, Copy)]
pub struct EngineSettings {
    /// How many leases are worked on at the same time, at least 1 (`MAX_CONCURRENCY`).
    pub max_concurrency: usize,
    /// The shortest wait between polls (`POLL_BACKOFF_MS_MIN`).
    pub poll_backoff_min: Duration,
    /// The longest wait between polls (`POLL_BACKOFF_MS_MAX`).
    pub poll_backoff_max: Duration,
    /// How long running leases may go on after a request to shut down, before they are given back
    /// (`SHUTDOWN_GRACE_SECS`).
    pub shutdown_grace: Duration,
    /// How leases are worked off; holds `HEARTBEAT_MIN_RATIO`, `HEARTBEAT_MAX_RATIO` and
    /// `HEARTBEAT_JITTER_MS`.
    pub lease: LeaseSettings,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            max_concurrency: 1,
            poll_backoff_min: Duration::from_secs(1),
            poll_backoff_max: Duration::from_secs(30),
            shutdown_grace: Duration::from_secs(30),
            lease: LeaseSettings::default(),
        }
    }
}
