//! How the node takes work (protocol 4.1, 5.3).

use std::time::Duration;

use crate::lease::LeaseSettings;

/// How the node takes work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct WorkerSettings {
    /// How many leases are worked on at the same time, at least 1 (`MAX_CONCURRENCY`).
    pub(crate) max_concurrency: usize,
    /// The shortest wait between requests for work (`POLL_BACKOFF_MS_MIN`).
    pub(crate) poll_backoff_min: Duration,
    /// The longest wait between requests for work (`POLL_BACKOFF_MS_MAX`).
    pub(crate) poll_backoff_max: Duration,
    /// How long the end of the node may take from the request to stop, giving its leases back included
    /// (`SHUTDOWN_GRACE_SECS`).
    pub(crate) shutdown_grace: Duration,
    /// How each lease is worked on.
    pub(crate) lease: LeaseSettings,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            // A server may grant a node no more than one lease at a time (protocol 3.7).
            max_concurrency: 1,
            poll_backoff_min: Duration::from_secs(1),
            poll_backoff_max: Duration::from_secs(30),
            // Kubernetes kills after 30 s.
            shutdown_grace: Duration::from_secs(25),
            lease: LeaseSettings::default(),
        }
    }
}
