//! The end of the node, as it is asked for: to drain, to stop, to stop at once.
//!
//! | wish | what the node does | how it is asked for |
//! | --- | --- | --- |
//! | drain | takes no new lease, lets running tasks end however long they take, then ends; can be undone | SIGUSR1, `posemesh-node drain`, the admin call, a terminal that is gone |
//! | resume | takes leases again | SIGUSR2, `posemesh-node resume`, the admin call |
//! | stop | as drain, but whole within `SHUTDOWN_GRACE_SECS`: what can't end by then is given back | SIGTERM, SIGINT |
//! | kill | ends at once; the leases are given back at the next start | SIGTERM or SIGINT again, a second or more later |

mod signals;

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use signals::{EarlySignals, Signals};

/// What a drained node does once its last task has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterDrain {
    /// The node ends.
    #[default]
    Stop,
    /// The node stays, without a lease, until it is resumed or stopped.
    Stay,
}

/// The request to end the node. Clones share it.
///
/// ```
/// use posemesh_node_core::shutdown::{AfterDrain, Shutdown};
///
/// let shutdown = Shutdown::new();
/// let seen_by_the_node = shutdown.clone();
/// shutdown.drain(AfterDrain::Stop);
/// assert_eq!(seen_by_the_node.draining(), Some(AfterDrain::Stop));
/// shutdown.resume();
/// assert_eq!(seen_by_the_node.draining(), None);
/// shutdown.stop();
/// assert!(seen_by_the_node.stopping().is_cancelled());
/// assert!(!seen_by_the_node.killed().is_cancelled());
/// ```
#[derive(Debug, Clone)]
pub struct Shutdown {
    drain: Arc<watch::Sender<Option<AfterDrain>>>,
    stopped_at: Arc<OnceLock<Instant>>,
    stopping: CancellationToken,
    killed: CancellationToken,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// No request yet.
    pub fn new() -> Self {
        Self {
            drain: Arc::new(watch::Sender::new(None)),
            stopped_at: Arc::default(),
            stopping: CancellationToken::new(),
            killed: CancellationToken::new(),
        }
    }

    /// Requests that no new lease is taken; running tasks may take as long as they need.
    pub fn drain(&self, then: AfterDrain) {
        self.drain.send_replace(Some(then));
    }

    /// Takes [`Shutdown::drain`] back. A node that is stopping stays so.
    pub fn resume(&self) {
        self.drain.send_replace(None);
    }

    /// Requests the end within the grace time of the node's settings.
    pub fn stop(&self) {
        // Set before the token: whoever sees the token must find the time.
        let _ = self.stopped_at.set(Instant::now());
        self.stopping.cancel();
    }

    /// Requests the end at once; running leases are left to the next start, which gives them back.
    pub fn kill(&self) {
        self.stop();
        self.killed.cancel();
    }

    /// Whether the node drains, and what it does then.
    pub fn draining(&self) -> Option<AfterDrain> {
        *self.drain.borrow()
    }

    /// Changes with [`Shutdown::draining`].
    pub fn watch_drain(&self) -> watch::Receiver<Option<AfterDrain>> {
        self.drain.subscribe()
    }

    /// Cancelled when the node must end within its grace time.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// When the end was requested; the grace time counts from then.
    pub fn stopped_at(&self) -> Option<Instant> {
        self.stopped_at.get().copied()
    }

    /// Cancelled when the node must end at once.
    pub fn killed(&self) -> &CancellationToken {
        &self.killed
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn to_kill_is_to_stop_as_well() {
        let shutdown = Shutdown::new();
        shutdown.clone().kill();
        assert!(shutdown.stopping().is_cancelled() && shutdown.killed().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn the_grace_time_counts_from_the_first_request() {
        let shutdown = Shutdown::new();
        assert_eq!(shutdown.stopped_at(), None);
        shutdown.stop();
        let first = shutdown.stopped_at().unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        shutdown.kill();
        assert_eq!(shutdown.stopped_at(), Some(first));
    }

    #[test]
    fn a_drain_is_undone_and_a_stop_is_not() {
        let shutdown = Shutdown::new();
        shutdown.drain(AfterDrain::Stay);
        shutdown.resume();
        assert_eq!(shutdown.draining(), None);
        shutdown.stop();
        shutdown.resume();
        assert!(shutdown.stopping().is_cancelled());
    }
}
