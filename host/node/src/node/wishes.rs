//! The record of what the node was asked for, whoever asked: signals leave no other trace in the audit log.

use tokio_util::sync::CancellationToken;

use crate::audit::AuditLog;
use crate::shutdown::{AfterDrain, Shutdown};

/// Records each wish until the node has ended. Wishes that undo each other within a moment may leave no line.
pub(super) async fn record_wishes(audit: AuditLog, shutdown: &Shutdown, stop: CancellationToken) {
    let mut drain = shutdown.watch_drain();
    // A pause from before the start is no wish of now.
    let mut known = Some(AfterDrain::Stay).filter(|_| shutdown.paused().is_some());
    if known.is_some() {
        audit.record("pause_goes_on", []);
    }
    let (mut stopping, mut killed) = (false, false);
    let record = |wish: &'static str| audit.record("wish", [("wish", wish.into())]);
    loop {
        let now = *drain.borrow_and_update();
        if now != known {
            record(match now {
                Some(AfterDrain::Stop) => "drain",
                Some(AfterDrain::Stay) => "pause",
                None => "resume",
            });
            known = now;
        }
        if !stopping && shutdown.stopping().is_cancelled() {
            stopping = true;
            record("stop");
        }
        if !killed && shutdown.killed().is_cancelled() {
            killed = true;
            record("kill");
        }
        // Only now: what was asked for last is what ends the node.
        if stop.is_cancelled() {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            changed = drain.changed() => if changed.is_err() { return },
            () = shutdown.stopping().cancelled(), if !stopping => {}
            () = shutdown.killed().cancelled(), if !killed => {}
        }
    }
}

#[cfg(test)]
mod tests;
