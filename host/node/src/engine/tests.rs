//! What the engine asks for, when, and how it stops.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod polling;
mod stopping;

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::lease::ServerError;
use crate::lease::testing::*;

const SECOND: Duration = Duration::from_secs(1);

/// An engine at work.
struct Running {
    rig: Rig,
    shutdown: Shutdown,
    ready: watch::Sender<bool>,
    engine: JoinHandle<Totals>,
    began: Instant,
}

impl Running {
    /// Starts one that is registered.
    fn start(rig: Rig, settings: EngineSettings) -> Self {
        let (ready, is_ready) = watch::channel(true);
        let parts = EngineParts {
            server: rig.server.clone(),
            runners: rig.runners.clone(),
            storages: rig.context.storages.clone(),
            work_dirs: rig.context.work_dirs.clone(),
            ready: is_ready,
            records: rig.records.clone(),
        };
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let engine = Engine::new(parts, settings);
        let engine = tokio::spawn(async move { engine.run(&stop).await });
        Self { rig, shutdown, ready, engine, began: Instant::now() }
    }

    /// The time between calls of this kind.
    fn gaps(&self, word: &str) -> Vec<Duration> {
        self.rig.server.times(word).windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    /// Asks it to stop and waits until it has.
    async fn stop(self) -> Totals {
        self.shutdown.drain();
        self.engine.await.unwrap()
    }
}

fn work() -> Result<LeaseAnswer, ServerError> {
    Ok(LeaseAnswer::Lease(Box::new(lease(CAPABILITY))))
}
