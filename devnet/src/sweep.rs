//! Ends what has expired: nonces, tokens, leases and upload sessions.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::dms::lease;
use crate::servers::Servers;

/// Sweeps at the configured interval until [`Servers::stop`] is cancelled.
pub(crate) async fn run(servers: Arc<Servers>) {
    // An interval of zero would panic.
    let mut tick = tokio::time::interval(servers.config.sweep_interval.max(Duration::from_millis(1)));
    // After a pause of the process one sweep does for all that were missed.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => sweep(&servers),
            () = servers.stop.cancelled() => return,
        }
    }
}

pub(crate) fn sweep(servers: &Servers) {
    servers.registry.sweep();
    servers.tokens.sweep();
    let leases = lease::sweep(servers);
    let sessions = servers.sessions.sweep();
    if leases || sessions {
        servers.changed();
    }
}
