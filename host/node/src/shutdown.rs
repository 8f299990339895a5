//! The end of the node, as it is asked for: to drain, to stop, to stop at once.
//!
//! | wish | what the node does | how it is asked for |
//! | --- | --- | --- |
//! | drain | takes no new lease, lets running tasks end however long they take, then ends; can be undone | SIGUSR1, `posemesh-node drain`, the admin call, a terminal that is gone |
//! | pause | as drain, but stays, with a note for who looks, and until a time if one is given; outlives the process | `posemesh-node pause`, the admin call |
//! | resume | takes leases again | SIGUSR2, `posemesh-node resume`, the admin call |
//! | stop | as drain, but whole within `SHUTDOWN_GRACE_SECS`: what can't end by then is given back | SIGTERM, SIGINT |
//! | kill | ends at once; the leases are given back at the next start | SIGTERM or SIGINT again, a second or more later |

mod signals;

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
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

/// Why the node takes no lease for a while, in the words of whoever paused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// For people who look; empty if there is none.
    pub note: String,
    /// When leases are taken again; not before the node is resumed if none.
    pub until: Option<Instant>,
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
    pause: Arc<watch::Sender<Option<Pause>>>,
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
            pause: Arc::new(watch::Sender::new(None)),
            stopped_at: Arc::default(),
            stopping: CancellationToken::new(),
            killed: CancellationToken::new(),
        }
    }

    /// Requests that no new lease is taken; running tasks may take as long as they need.
    pub fn drain(&self, then: AfterDrain) {
        self.set(Some(then), None);
    }

    /// Requests that no new lease is taken until the node is resumed, or until the time of the pause. Not if it drains to
    /// stop then: a pause must not keep it.
    pub fn pause(&self, pause: Pause) -> bool {
        self.drain.send_if_modified(|drain| {
            let may_pause = *drain != Some(AfterDrain::Stop);
            if may_pause {
                *drain = Some(AfterDrain::Stay);
                self.pause.send_replace(Some(pause));
            }
            may_pause
        })
    }

    /// The pause, if the node was paused.
    pub fn paused(&self) -> Option<Pause> {
        self.pause.borrow().clone()
    }

    /// Changes with [`Shutdown::paused`].
    pub fn watch_pause(&self) -> watch::Receiver<Option<Pause>> {
        self.pause.subscribe()
    }

    /// Ends pauses at their times; for ever.
    pub async fn end_pauses(&self) {
        let mut pause = self.pause.subscribe();
        loop {
            let until = pause.borrow_and_update().as_ref().and_then(|pause| pause.until);
            tokio::select! {
                // First: one that was prolonged is not over.
                biased;
                changed = pause.changed() => if changed.is_err() { return },
                () = async { sleep_until(until.unwrap_or_else(Instant::now)).await }, if until.is_some() => {
                    self.end_pause(until);
                }
            }
        }
    }

    /// Ends the pause of that time. One that was prolonged meanwhile is another.
    fn end_pause(&self, until: Option<Instant>) {
        self.drain.send_if_modified(|drain| {
            let is_over = self.pause.borrow().as_ref().is_some_and(|pause| pause.until == until);
            if is_over {
                tracing::info!("the time of the pause is over: leases are taken again");
                self.pause.send_replace(None);
                *drain = None;
            }
            is_over
        });
    }

    /// Both at once: nobody comes in between who would leave one of them.
    fn set(&self, drain: Option<AfterDrain>, pause: Option<Pause>) {
        self.drain.send_modify(|now| {
            self.pause.send_replace(pause);
            *now = drain;
        });
    }

    /// Takes [`Shutdown::drain`] and [`Shutdown::pause`] back. A node that is stopping stays so.
    pub fn resume(&self) {
        self.set(None, None);
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

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_at_its_time_unless_it_is_prolonged_or_undone() {
        let shutdown = Shutdown::new();
        let ending = shutdown.clone();
        let ends = tokio::spawn(async move { ending.end_pauses().await });
        let minute = std::time::Duration::from_secs(60);
        let until =
            |minutes: u32| Pause { note: "disk".to_owned(), until: Some(Instant::now() + minutes * minute) };
        shutdown.pause(until(1));
        tokio::time::sleep(minute / 2).await;
        assert_eq!(shutdown.draining(), Some(AfterDrain::Stay));
        shutdown.pause(until(2));
        tokio::time::sleep(minute).await;
        assert_eq!(shutdown.paused().unwrap().note, "disk", "it was prolonged");
        tokio::time::sleep(2 * minute).await;
        assert_eq!((shutdown.draining(), shutdown.paused()), (None, None));
        shutdown.pause(Pause { note: String::new(), until: None });
        tokio::time::sleep(100 * minute).await;
        assert_eq!(shutdown.draining(), Some(AfterDrain::Stay), "without a time it stays");
        shutdown.drain(AfterDrain::Stop);
        assert_eq!(shutdown.paused(), None, "a drain takes its place");
        assert!(!shutdown.pause(until(1)), "a node that is to stop is not kept by a pause");
        assert_eq!((shutdown.draining(), shutdown.paused()), (Some(AfterDrain::Stop), None));
        ends.abort();
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
