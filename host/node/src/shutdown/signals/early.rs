//! Signals that arrive before there is a runtime to listen to them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::flag::register_usize;
use signal_hook::{SigId, low_level};

/// The signal of a write beyond the limit on file sizes.
pub(super) const SIGXFSZ: i32 = 25;

/// Notes signals from the moment it is made, so that none of them ends the process by itself. It takes no thread and no
/// time: make it first of all.
#[derive(Debug)]
pub struct EarlySignals {
    /// Whether the process was started with SIGHUP ignored: seen before a handler hides it.
    pub(super) ignores_hang_up: bool,
    /// The last signal that asks for the end; 0 if there was none.
    end: Arc<AtomicUsize>,
    /// The last signal that asks to drain or to resume; 0 if there was none.
    drain: Arc<AtomicUsize>,
    handlers: Vec<SigId>,
}

impl EarlySignals {
    /// Begins to note signals.
    ///
    /// # Errors
    /// When a handler can't be installed.
    pub fn catch() -> io::Result<Self> {
        let ignores_hang_up = ignores_hang_up();
        let (end, drain, other) = <(Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let signals = [
            (SIGINT, &end),
            (SIGTERM, &end),
            (SIGUSR1, &drain),
            (SIGUSR2, &drain),
            // A hang-up is followed by looks at the terminal, and a file that is too large by an error of its write.
            (SIGHUP, &other),
            (SIGXFSZ, &other),
        ];
        let handlers = signals.map(|(signal, last)| {
            register_usize(signal, Arc::clone(last), usize::try_from(signal).unwrap_or_default())
        });
        let handlers = handlers.into_iter().collect::<io::Result<_>>()?;
        Ok(Self { ignores_hang_up, end, drain, handlers })
    }

    /// Whether the end was asked for, and by which signal.
    pub(super) fn end(&self) -> Option<&'static str> {
        match last(&self.end)? {
            SIGINT => Some("SIGINT"),
            _ => Some("SIGTERM"),
        }
    }

    /// Whether to drain or to resume was asked for last: true for to drain.
    pub(super) fn drain(&self) -> Option<bool> {
        last(&self.drain).map(|signal| signal == SIGUSR1)
    }
}

impl Drop for EarlySignals {
    fn drop(&mut self) {
        // Whoever listens now has handlers of its own, which stay.
        for handler in self.handlers.drain(..) {
            low_level::unregister(handler);
        }
    }
}

fn last(signal: &AtomicUsize) -> Option<i32> {
    i32::try_from(signal.load(Ordering::SeqCst)).ok().filter(|signal| *signal != 0)
}

/// Whether the process was started with SIGHUP ignored.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // The first bit is the first signal.
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
