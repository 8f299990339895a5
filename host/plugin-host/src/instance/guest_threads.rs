//! The threads of guests: those they run on, what interrupts them meanwhile, and how many are held by runners that can't
//! be ended.

mod kept;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasmtime::Engine;

use crate::instance::guest_threads::kept::KeptThreads;

/// How often a running guest is interrupted to see whether it should stop: about the longest that one guest can
/// keep its thread from noticing a cancellation or a deadline.
const TICK: Duration = Duration::from_millis(10);
/// How many ticks go on after the last guest: waking for each of many short tasks costs more than a few ticks do.
const TICKS_AFTER: u32 = 20;

/// The guests of one engine. Cloning shares.
#[derive(Debug, Clone, Default)]
pub(crate) struct GuestThreads {
    stuck: Arc<AtomicUsize>,
    ticker: Arc<Ticker>,
    threads: KeptThreads,
}

#[derive(Debug, Default)]
struct Ticker {
    state: Mutex<Ticking>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Ticking {
    guests: usize,
    /// Ticks since there was a guest.
    idle: u32,
    /// The thread that makes epochs pass waits for a guest.
    waits: bool,
    /// The thread that makes epochs pass was started.
    started: bool,
    /// The last user is gone.
    over: bool,
}

impl GuestThreads {
    /// The threads that are held now. The number falls when a thread ends after all.
    pub(crate) fn stuck(&self) -> usize {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Counts a thread as stuck until the returned guard is dropped.
    pub(crate) fn hold(&self) -> StuckGuard {
        self.stuck.fetch_add(1, Ordering::Relaxed);
        StuckGuard(self.clone())
    }

    /// Makes the engine's epochs pass until the returned guard is dropped. Without a guest nothing wakes up.
    ///
    /// # Errors
    /// When there is no thread left for it.
    pub(crate) fn run(&self, engine: &Engine) -> io::Result<RunningGuest> {
        let mut state = self.ticker.lock();
        if !state.started {
            let (ticker, engine) = (self.ticker.clone(), engine.weak());
            std::thread::Builder::new().name("wasm-epoch".to_owned()).spawn(move || {
                while ticker.wait() {
                    // Upgraded for one tick only: the thread must not keep the engine alive.
                    let Some(engine) = engine.upgrade() else { return };
                    engine.increment_epoch();
                }
            })?;
            state.started = true;
        }
        state.guests += 1;
        let waits = state.waits;
        drop(state);
        if waits {
            self.ticker.changed.notify_one();
        }
        Ok(RunningGuest(self.ticker.clone()))
    }

    /// Does a job on a thread of its own: whether there is one is known here and now, and a guest that can't be ended does
    /// not hold up the end of the runtime, as one on a thread of the runtime's would.
    ///
    /// # Errors
    /// When there is no thread left.
    pub(crate) fn spawn(&self, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.run(Box::new(job))
    }

    /// Ends the threads, when no guest will run any more.
    pub(crate) fn end(&self) {
        self.threads.end();
        self.ticker.lock().over = true;
        self.ticker.changed.notify_one();
    }
}

impl Ticker {
    /// Waits for the next tick; false when there will be none.
    fn wait(&self) -> bool {
        let mut state = self.lock();
        state.idle = if state.guests == 0 { state.idle.saturating_add(1) } else { 0 };
        while state.guests == 0 && state.idle > TICKS_AFTER && !state.over {
            state.waits = true;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waits = false;
        let over = state.over && state.guests == 0;
        drop(state);
        if !over {
            std::thread::sleep(TICK);
        }
        !over
    }

    fn lock(&self) -> MutexGuard<'_, Ticking> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stands for one guest that runs.
pub(crate) struct RunningGuest(Arc<Ticker>);

impl Drop for RunningGuest {
    fn drop(&mut self) {
        self.0.lock().guests -= 1;
    }
}

/// Stands for one stuck thread.
pub(crate) struct StuckGuard(GuestThreads);

impl Drop for StuckGuard {
    fn drop(&mut self) {
        self.0.stuck.fetch_sub(1, Ordering::Relaxed);
    }
}
