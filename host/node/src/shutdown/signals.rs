//! The signals that a node listens to.

mod early;

use std::fs::File;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::{AfterDrain, Shutdown};

pub use early::EarlySignals;
use early::SIGXFSZ;

/// Signals that follow the first within this time are the same wish: `timeout` and terminals send theirs to the
/// process and to its group.
const SAME_WISH: Duration = Duration::from_secs(1);
/// How often the terminal is looked at. Its end is not always signalled.
const TERMINAL_INTERVAL: Duration = Duration::from_secs(2);

/// The signals of this process, and those that came before it was made; none of them ends the process by itself any
/// more.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    drain: Signal,
    resume: Signal,
    /// Held so that a file that reaches the limit on file sizes is an error of a write and not the end of the process.
    _file_size: Signal,
    has_terminal: bool,
    early: EarlySignals,
}

impl Signals {
    /// Installs the handlers, and takes over what was noted before. Call it before anything that takes time.
    ///
    /// # Errors
    /// When the handlers can't be installed.
    pub fn install(early: EarlySignals) -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            drain: signal(SignalKind::user_defined1())?,
            resume: signal(SignalKind::user_defined2())?,
            _file_size: signal(SignalKind::from_raw(SIGXFSZ))?,
            // Whoever starts a node with SIGHUP ignored, as `nohup` does, means it to outlive its terminal.
            has_terminal: has_terminal() && !early.ignores_hang_up,
            early,
        })
    }

    /// Passes the signals on to `shutdown` until the returned handle is dropped.
    pub fn pass_on(self, shutdown: &Shutdown) -> AbortOnDropHandle<()> {
        let shutdown = shutdown.clone();
        AbortOnDropHandle::new(tokio::spawn(self.listen(shutdown)))
    }

    async fn listen(mut self, shutdown: Shutdown) {
        // Each acts first and is logged after that.
        if self.early.drain() == Some(true) {
            drain(&shutdown);
        }
        let name = match self.early.end() {
            Some(name) => name,
            None => self.until_end(&shutdown).await,
        };
        shutdown.stop();
        info!(signal = name, "stopping within the grace time; a second signal ends the node at once");
        let first = Instant::now();
        loop {
            let name = end(&mut self.interrupt, &mut self.terminate).await;
            if first.elapsed() >= SAME_WISH {
                shutdown.kill();
                warn!(signal = name, "ending at once; the next start gives running leases back");
                return;
            }
        }
    }

    /// Acts on signals until one of them asks for the end; returns its name.
    async fn until_end(&mut self, shutdown: &Shutdown) -> &'static str {
        let mut terminal = interval(TERMINAL_INTERVAL);
        terminal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                name = end(&mut self.interrupt, &mut self.terminate) => return name,
                _ = self.drain.recv() => drain(shutdown),
                _ = self.resume.recv() => {
                    shutdown.resume();
                    info!(signal = "SIGUSR2", "taking leases again");
                }
                // The registry listens to this signal as well: it scans the runners.
                _ = self.hang_up.recv() => self.look_at_the_terminal(shutdown).await,
                _ = terminal.tick(), if self.has_terminal => self.look_at_the_terminal(shutdown).await,
            }
        }
    }

    async fn look_at_the_terminal(&mut self, shutdown: &Shutdown) {
        if self.has_terminal && !spawn_blocking(has_terminal).await.unwrap_or(true) {
            // A hang-up and the end of the session are two moments; a look in between must not mislead.
            sleep(Duration::from_millis(100)).await;
            if !spawn_blocking(has_terminal).await.unwrap_or(true) {
                self.has_terminal = false;
                shutdown.drain(AfterDrain::Stop);
                warn!("the terminal is gone: draining; SIGUSR2 takes leases again");
            }
        }
    }
}

fn drain(shutdown: &Shutdown) {
    shutdown.drain(AfterDrain::Stop);
    info!(signal = "SIGUSR1", "draining: no new leases; SIGUSR2 takes leases again");
}

async fn end(interrupt: &mut Signal, terminate: &mut Signal) -> &'static str {
    // Either signal counts: a SIGINT that follows a SIGTERM is the second one.
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

/// Whether the process has a controlling terminal. A process that never had one, a service, can't lose it.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::process::Command;

    use tokio::time::timeout;

    use super::*;

    fn send(signal: &str) {
        let own_pid = std::process::id().to_string();
        assert!(Command::new("kill").args([signal, &own_pid]).status().unwrap().success());
    }

    // One test: signals reach every listener of the process.
    #[tokio::test]
    async fn signals_drain_resume_stop_and_kill() {
        let shutdown = Shutdown::new();
        let early = EarlySignals::catch().unwrap();
        // One after the other: of two that wait for the process, the kernel delivers the one with the lower number first.
        for (signal, drain) in [("-USR2", false), ("-USR1", true)] {
            send(signal);
            // Delivered to any thread of the process, which need not be this one.
            let noted = async {
                while early.drain() != Some(drain) {
                    sleep(Duration::from_millis(1)).await;
                }
            };
            timeout(Duration::from_secs(60), noted).await.unwrap();
        }
        let _listening = Signals::install(early).unwrap().pass_on(&shutdown);
        let limit = Duration::from_secs(60);
        let mut drain = shutdown.watch_drain();
        timeout(limit, drain.wait_for(|drain| drain.is_some())).await.unwrap().unwrap();
        for (signal, wish) in [("-USR1", Some(AfterDrain::Stop)), ("-USR2", None)] {
            send(signal);
            timeout(limit, drain.wait_for(|drain| *drain == wish)).await.unwrap().unwrap();
        }
        // Does not end the process.
        send("-HUP");
        let began = Instant::now();
        send("-TERM");
        timeout(limit, shutdown.stopping().cancelled()).await.unwrap();
        send("-INT");
        sleep(Duration::from_millis(50)).await;
        let killed = shutdown.killed().is_cancelled();
        // On a machine that is busy enough it is a second wish.
        assert!(!killed || began.elapsed() >= SAME_WISH, "a repeat within a second is the same wish");
        sleep(SAME_WISH).await;
        send("-INT");
        timeout(limit, shutdown.killed().cancelled()).await.unwrap();
    }
}
