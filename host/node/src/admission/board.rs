//! What keeps the node from taking leases now, for everybody who looks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tracing::{info, warn};

use crate::millis::millis;
use crate::words::words;

words! {
    /// What kind of trouble it is; the words are labels of metrics.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub(crate) enum Cause {
        /// `WORK_DIR` can't be used.
        WorkDir = "work_dir",
        /// Too little space or too few inodes are free.
        Disk = "disk",
        /// Too little memory is left of the budget or of the machine.
        Memory = "memory",
        /// Too few descriptors are left.
        Descriptors = "descriptors",
        /// Too few threads are left.
        Threads = "threads",
        /// Too little address space is left.
        AddressSpace = "address_space",
        /// The last task failed by the node's own fault.
        Host = "host",
        /// Tasks failed by a domain server's fault, or one is away.
        Server = "server",
    }
}

/// One reason why no lease is taken: what is wrong, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) cause: Cause,
    pub(crate) text: String,
}

impl Trouble {
    pub(crate) fn new(cause: Cause, text: impl Into<String>) -> Self {
        Self { cause, text: text.into() }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The troubles of now. Cloning shares.
#[derive(Debug, Clone, Default)]
pub(crate) struct TroubleBoard {
    troubles: Arc<Mutex<BTreeMap<Cause, (Trouble, Instant)>>>,
}

impl TroubleBoard {
    /// Shows these troubles of the causes named, and no others of them. Changes are logged.
    pub(crate) fn set(&self, causes: &[Cause], now: &[Trouble]) {
        let mut troubles = self.troubles();
        for cause in causes {
            match now.iter().find(|trouble| trouble.cause == *cause) {
                None => {
                    if let Some((trouble, since)) = troubles.remove(cause) {
                        let lasted = since.elapsed();
                        info!(
                            cause = cause.as_str(),
                            lasted_ms = millis(lasted),
                            "this no longer keeps the node from taking leases: {trouble}"
                        );
                    }
                }
                Some(trouble) => match troubles.get_mut(cause) {
                    // The text may tell other figures: shown, but not logged each time.
                    Some((shown, _)) => shown.clone_from(trouble),
                    None => {
                        warn!(cause = cause.as_str(), "no leases are taken: {trouble}");
                        troubles.insert(*cause, (trouble.clone(), Instant::now()));
                    }
                },
            }
        }
    }

    /// All of them, in the order of [`Cause::ALL`].
    pub(crate) fn list(&self) -> Vec<Trouble> {
        self.troubles().values().map(|(trouble, _)| trouble.clone()).collect()
    }

    fn troubles(&self) -> MutexGuard<'_, BTreeMap<Cause, (Trouble, Instant)>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
