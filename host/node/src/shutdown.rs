//! Ending the node: after running work at the first signal, at once at the second.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

/// The request to end the node. Clones share it.
///
/// ```
/// use posemesh_node_core::shutdown::Shutdown;
///
/// let shutdown = Shutdown::new();
/// let seen_by_the_node = shutdown.clone();
/// shutdown.drain();
/// assert!(seen_by_the_node.draining().is_cancelled());
/// assert!(!seen_by_the_node.killed().is_cancelled());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    draining: CancellationToken,
    killed: CancellationToken,
}

impl Shutdown {
    /// No request yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests the end: no new work is taken, and running tasks may end within the grace time.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Requests the end at once; running leases are left to expire.
    pub fn kill(&self) {
        self.draining.cancel();
        self.killed.cancel();
    }

    /// Cancelled when no new work may be taken.
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Cancelled when the node must end at once.
    pub fn killed(&self) -> &CancellationToken {
        &self.killed
    }

    /// Listens for SIGINT and SIGTERM until the returned handle is dropped: the first signal drains, the second
    /// kills. The signals' default action, which ends the process, is not restored.
    ///
    /// # Errors
    /// When the handlers can't be installed.
    pub fn listen(&self) -> io::Result<AbortOnDropHandle<()>> {
        // Installed before the task runs: a signal that comes at once must not end the process.
        let mut signals = Signals::install()?;
        let shutdown = self.clone();
        Ok(AbortOnDropHandle::new(tokio::spawn(async move {
            let name = signals.next().await;
            info!(signal = name, "shutting down; once more ends it at once");
            shutdown.drain();
            let name = signals.next().await;
            warn!(signal = name, "ending at once; running leases are left to expire");
            shutdown.kill();
        })))
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> &'static str {
        // Either signal counts: a SIGINT that follows a SIGTERM is the second one.
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn the_first_signal_drains_and_the_second_kills() {
        let shutdown = Shutdown::new();
        let _listening = shutdown.listen().unwrap();
        let own_pid = std::process::id().to_string();
        for (signal, token) in [("-TERM", shutdown.draining()), ("-INT", shutdown.killed())] {
            assert!(!token.is_cancelled());
            assert!(Command::new("kill").args([signal, &own_pid]).status().unwrap().success());
            timeout(Duration::from_secs(10), token.cancelled()).await.unwrap();
        }
    }

    #[test]
    fn to_kill_is_to_drain_as_well() {
        let shutdown = Shutdown::new();
        shutdown.clone().kill();
        assert!(shutdown.draining().is_cancelled() && shutdown.killed().is_cancelled());
    }
}
