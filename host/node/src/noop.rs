//! The noop runner (protocol 8): for trying a node out, so it is live only when the operator says so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The capability that it serves.
const CAPABILITY: &str = "/posemesh/noop/v1";
/// The variable by which it learns how long to sleep.
const SLEEP_VARIABLE: &str = "NOOP_SLEEP_SECS";

/// Whether the noop runner may be live, and how long it sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoopSettings {
    /// Whether the no-op runner may go live (`ENABLE_NOOP`).
    pub(crate) enabled: bool,
    /// How long it sleeps when its task does not say.
    pub(crate) sleep: Duration,
}

impl Default for NoopSettings {
    fn default() -> Self {
        Self { enabled: false, sleep: Duration::from_secs(5) }
    }
}

impl NoopSettings {
    /// The capabilities that no runner may serve.
    pub(crate) fn withheld(&self) -> BTreeSet<String> {
        if self.enabled { BTreeSet::new() } else { BTreeSet::from([CAPABILITY.to_owned()]) }
    }

    /// The environment variables that every runner may see.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(SLEEP_VARIABLE.to_owned(), self.sleep.as_secs().to_string())])
    }
}
