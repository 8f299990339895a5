//! The end of the engine: what is running may finish, what does not is given back.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, info, warn};

use crate::engine::poll::{self, Polled};
use crate::engine::{Engine, task_span};
use crate::lease::Session;
use crate::lease::server::LeaseAnswer;
use crate::shutdown::Shutdown;

/// What a request for work that is under way gets to be answered: dropped, it might leave a lease behind
/// that nobody knows of, but a server that hangs must not hold up the end. While leases are worked on it
/// costs nothing to wait longer.
const POLL_PATIENCE: Duration = Duration::from_secs(5);

/// For what is left once every lease has had its time.
const SLACK: Duration = Duration::from_secs(5);

impl Engine {
    /// Ends what is running: within the grace time by itself, after it by giving it back, and at once
    /// when the node is killed.
    pub(super) async fn drain(&mut self, shutdown: &Shutdown) {
        let grace = self.settings.shutdown_grace;
        info!(running = self.sessions.len(), ?grace, "no more leases are taken");
        let began = Instant::now();
        let poll_end = began + POLL_PATIENCE;
        // Whatever happens, it is over then: the runners' time to stop, then that for the last reports
        // and that for telling the server.
        let lease = self.settings.lease;
        let end = began + grace.max(POLL_PATIENCE) + lease.stop_grace + 2 * lease.give_back_patience + SLACK;
        while !self.sessions.is_empty() || self.polling.is_some() {
            tokio::select! {
                biased;
                () = shutdown.killed().cancelled() => break,
                Some(_) = self.sessions.join_next() => {}
                polled = poll::answer(&mut self.polling) => self.give_back(polled),
                () = sleep_until(began + grace), if !self.context.give_back.is_cancelled() => {
                    warn!(running = self.sessions.len(), "the grace time is over; running leases are given back");
                    self.context.give_back.cancel();
                }
                () = sleep_until(poll_end), if self.polling.is_some() && self.sessions.is_empty() => {
                    warn!("a request for work was not answered in time; it may have left a lease behind");
                    self.polling = None;
                }
                () = sleep_until(end) => break,
            }
        }
        if !self.sessions.is_empty() {
            warn!(
                running = self.sessions.len(),
                "the leases that are left are dropped; they expire by themselves"
            );
            self.sessions.shutdown().await;
        }
    }

    /// A request that was sent before the shutdown was answered: what it brought can't be started.
    fn give_back(&mut self, polled: Polled) {
        match polled.answer {
            Ok(LeaseAnswer::Lease(lease)) => {
                let record = self.records.begin(&lease);
                let span = task_span(&lease);
                let session = Session::new(self.context.clone(), *lease, polled.sent);
                self.sessions.spawn(session.give_back(record).instrument(span));
            }
            Ok(LeaseAnswer::Undecodable { task_id: Some(task_id), error }) => self.refuse(task_id, error),
            Ok(_) | Err(_) => {}
        }
    }
}
