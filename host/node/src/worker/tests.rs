//! When the worker asks for work, and how it stops.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod admission;
mod polling;
mod stopping;

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::dms::{JobServerError, LeaseAnswer};
use crate::records::LeaseTotals;
use crate::shutdown::{AfterDrain, Shutdown};
use crate::testing::{CAPABILITY, LeaseFixture, lease};

const SECOND: Duration = Duration::from_secs(1);

/// A worker that takes leases.
struct RunningWorker {
    fixture: LeaseFixture,
    shutdown: Shutdown,
    registered: watch::Sender<bool>,
    worker: JoinHandle<LeaseTotals>,
    began: Instant,
}

impl RunningWorker {
    /// Starts one whose node is registered.
    fn start(fixture: LeaseFixture, settings: WorkerSettings) -> Self {
        let (registered, is_registered) = watch::channel(true);
        let parts = WorkerParts {
            server: fixture.server.clone(),
            runners: fixture.runners.clone(),
            ports: fixture.context.ports.clone(),
            work_dirs: fixture.context.work_dirs.clone(),
            admission: fixture.admission.clone(),
            board: fixture.board.clone(),
            journal: fixture.journal.clone(),
            orphans: fixture.orphans.clone(),
            registered: is_registered,
            reported: fixture.reported.subscribe(),
            records: fixture.records.clone(),
        };
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let worker = Worker::new(parts, settings);
        let worker = tokio::spawn(async move { worker.run(&stop).await });
        Self { fixture, shutdown, registered, worker, began: Instant::now() }
    }

    /// The time between calls of this kind.
    fn gaps(&self, word: &str) -> Vec<Duration> {
        self.fixture.server.times(word).windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    /// Asks it to stop and waits until it has.
    async fn stop(self) -> LeaseTotals {
        self.shutdown.stop();
        self.worker.await.unwrap()
    }
}

fn work() -> Result<LeaseAnswer, JobServerError> {
    Ok(LeaseAnswer::Lease(Box::new(lease(CAPABILITY))))
}
