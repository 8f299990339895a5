//! What happens too often, or too deep in the node, to be told upwards, counted for metrics: one account for the process,
//! which knows nothing of who counts. What has an owner that is asked anyway (tasks, runners, the token) is not here.

use std::sync::atomic::{AtomicU64, Ordering};

use posemesh_net::histogram::{Histogram, Tally};

/// Requests for work, by what came of them.
pub(crate) static POLLS: Tally<5> = Tally::new(["lease", "no_work", "busy", "unreadable", "failed"]);

/// Heartbeats, by what came of them.
pub(crate) static HEARTBEATS: Tally<4> = Tally::new(["extended", "cancelled", "lost", "failed"]);

/// What was left of the lease when a heartbeat was accepted, in seconds.
pub(crate) static HEARTBEAT_MARGIN: Histogram<13> =
    Histogram::new([0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0, 600.0, 1800.0]);

/// Registrations with DDS, by what came of them.
pub(crate) static REGISTRATIONS: Tally<4> = Tally::new(["registered", "conflict", "transient", "refused"]);

/// Logins with DDS, by what came of them.
pub(crate) static LOGINS: Tally<3> = Tally::new(["succeeded", "transient", "refused"]);

/// Open connections to the node's own HTTP servers.
pub(crate) static CONNECTIONS: Level = Level::new();

/// How many there are of something now.
#[derive(Debug)]
pub(crate) struct Level(AtomicU64);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(&'static Level);

impl Level {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// One more.
    pub(crate) fn enter(&'static self) -> Counted {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(self)
    }

    /// How many there are.
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
