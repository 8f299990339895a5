//! What a service manager that understands `sd_notify` is told: that the node is up, that it is alive, and how long its end
//! takes.

use std::time::Duration;

use posemesh_node_core::shutdown::Shutdown;
use sd_notify::NotifyState;
use tokio_util::task::AbortOnDropHandle;

/// What the end of the process takes beyond the grace time.
const MARGIN: Duration = Duration::from_secs(5);

/// Tells that the node is up. Does nothing without `NOTIFY_SOCKET`.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// Tells again and again that the node is alive, three times in the time after which the manager would end it
/// (`WatchdogSec=`). None if the manager does not ask. A task like all others: when the runtime gets to run none, the manager
/// is right to think that the node hangs.
pub(crate) fn tell_alive() -> Option<AbortOnDropHandle<()>> {
    let patience = sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero())?;
    Some(AbortOnDropHandle::new(tokio::spawn(async move {
        let mut next = tokio::time::interval(patience / 3);
        loop {
            next.tick().await;
            notify(&[NotifyState::Watchdog]);
        }
    })))
}

/// Tells, when the node is to stop, how long that may take, so that it is not killed before.
pub(crate) fn tell(shutdown: &Shutdown, grace: Duration) -> AbortOnDropHandle<()> {
    let shutdown = shutdown.clone();
    AbortOnDropHandle::new(tokio::spawn(async move {
        shutdown.stopping().cancelled().await;
        let micros = u32::try_from((grace + MARGIN).as_micros()).unwrap_or(u32::MAX);
        notify(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(micros)]);
    }))
}

fn notify(state: &[NotifyState<'_>]) {
    // One small datagram to the manager of this machine. By no other thread: those may all wait for a disk, and the manager would
    // take that for a node that hangs.
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}
