//! What the node has done lately, for people who look: the last tasks and a count of how they ended.

mod record;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::lease::Ending;
use crate::lease::server::Lease;
use posemesh_domain_client::{Traffic, TrafficView};
use posemesh_runner_api::reports::Reports;

pub use record::{TaskRecord, TaskState};

/// How many tasks are remembered.
const KEPT: usize = 256;

/// How leases ended since the node started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Leases taken.
    pub leased: u64,
    /// Ended as completed.
    pub completed: u64,
    /// Ended as failed.
    pub failed: u64,
    /// Ended as cancelled.
    pub cancelled: u64,
    /// Ended as lost.
    pub lost: u64,
    /// Runners that did not let go of their thread when they were dropped. Above 0 the node should not
    /// count as ready.
    pub stuck_runners: u64,
    /// Bytes that came from domain servers so far.
    pub bytes_in: u64,
    /// Bytes that went to domain servers so far.
    pub bytes_out: u64,
}

impl Totals {
    fn ended(&mut self, ending: &Ending) {
        match ending {
            Ending::Completed { .. } => self.completed += 1,
            Ending::Failed { .. } => self.failed += 1,
            Ending::Cancelled => self.cancelled += 1,
            Ending::Lost { .. } => self.lost += 1,
        }
    }

    /// Leases that are worked on.
    pub fn running(&self) -> u64 {
        self.leased.saturating_sub(self.completed + self.failed + self.cancelled + self.lost)
    }
}

/// The store. Cloning shares.
#[derive(Debug, Clone, Default)]
pub struct TaskRecords {
    shared: Arc<Mutex<Store>>,
}

#[derive(Debug, Default)]
struct Store {
    /// Where logs are kept; they go with their records.
    logs: Option<PathBuf>,
    totals: Totals,
    seconds: f64,
    last_answer: Option<Instant>,
    /// By the number of their leases, from 1; those that go on are never forgotten.
    records: BTreeMap<u64, Kept>,
}

#[derive(Debug)]
struct Kept {
    record: TaskRecord,
    began: Instant,
    /// Where progress and traffic are read while the task runs.
    sources: Option<(Reports, Arc<Traffic>)>,
}

/// The record of one task while its lease lives. Dropped without an end, the lease counts as lost.
#[derive(Debug)]
pub struct OpenRecord {
    records: TaskRecords,
    number: u64,
    /// What is written down when this is dropped.
    ending: Ending,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(log_file) = &self.record.log_file {
            // Mostly it is there; a runner that was never started has none.
            let _ = std::fs::remove_file(log_file);
        }
    }
}

impl TaskRecords {
    /// A store that has a log file for each task in a directory of its own.
    pub fn with_logs(dir: PathBuf) -> Self {
        Self { shared: Arc::new(Mutex::new(Store { logs: Some(dir), ..Store::default() })) }
    }

    /// Remembers a lease; the oldest that has ended goes if there are too many.
    pub fn begin(&self, lease: &Lease) -> OpenRecord {
        let mut record = TaskRecord {
            task_id: lease.task.id,
            job_id: lease.task.job_id,
            domain_id: lease.domain_id,
            capability: lease.task.capability.clone(),
            runner: None,
            state: TaskState::Starting,
            progress: Value::Null,
            leased_at: OffsetDateTime::now_utc(),
            took: Duration::ZERO,
            usage: Vec::new(),
            dropped_events: 0,
            traffic: TrafficView::default(),
            log_file: None,
        };
        let mut store = self.store();
        store.totals.leased += 1;
        if store.records.len() >= KEPT {
            let ended = |kept: &Kept| matches!(kept.record.state, TaskState::Ended(_));
            let oldest = store.records.iter().find(|(_, kept)| ended(kept)).map(|(number, _)| *number);
            oldest.and_then(|number| store.records.remove(&number));
        }
        let number = store.totals.leased;
        // A task can be leased more than once.
        record.log_file = store.logs.as_ref().map(|dir| dir.join(format!("{}-{number}.log", record.task_id)));
        store.records.insert(number, Kept { record, began: Instant::now(), sources: None });
        drop(store);
        let ending =
            Ending::Lost { why: "the node stopped before the server was told how it ended".to_owned() };
        OpenRecord { records: self.clone(), number, ending }
    }

    /// What is remembered, oldest first, with the progress of now.
    pub fn list(&self) -> Vec<TaskRecord> {
        self.store()
            .records
            .values()
            .map(|kept| {
                let mut record = kept.record.clone();
                if let Some(sources) = &kept.sources {
                    record.read(sources);
                }
                if !matches!(record.state, TaskState::Ended(_)) {
                    record.took = kept.began.elapsed();
                }
                record
            })
            .collect()
    }

    /// The server has answered a request for work.
    pub fn asked(&self) {
        self.store().last_answer = Some(Instant::now());
    }

    /// How long ago the server last answered a request for work.
    pub fn since_answer(&self) -> Option<Duration> {
        self.store().last_answer.map(|answered| answered.elapsed())
    }

    /// Seconds that all ended leases took together.
    pub fn seconds(&self) -> f64 {
        self.store().seconds
    }

    /// How leases ended so far, and what was moved, also by those that have not.
    pub fn totals(&self) -> Totals {
        let store = self.store();
        let mut totals = store.totals;
        for (_, traffic) in store.records.values().filter_map(|kept| kept.sources.as_ref()) {
            totals.bytes_in += traffic.bytes_in();
            totals.bytes_out += traffic.bytes_out();
        }
        totals
    }

    /// Counts a runner that did not let go of its thread.
    pub fn stuck(&self) {
        self.store().totals.stuck_runners += 1;
    }

    /// Counts a lease that could not be read, so that nothing else is remembered of it.
    pub fn count_unreadable(&self, ending: &Ending) {
        let mut store = self.store();
        store.totals.leased += 1;
        store.totals.ended(ending);
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        // Nothing panics while the lock is held; if something did, the store is still whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenRecord {
    /// The runner is started.
    pub fn running(&self, runner: String, reports: Reports, traffic: Arc<Traffic>) {
        self.change(|kept| {
            kept.record.runner = Some(runner);
            kept.record.state = TaskState::Running;
            kept.sources = Some((reports, traffic));
        });
    }

    /// Where what the runner prints is to be kept.
    pub fn log_file(&self) -> Option<PathBuf> {
        self.change(|kept| kept.record.log_file.clone()).flatten()
    }

    /// The runner has ended.
    pub fn finishing(&self) {
        self.change(|kept| kept.record.state = TaskState::Finishing);
    }

    /// A runner did not let go of its thread.
    pub fn stuck(&self) {
        self.records.stuck();
    }

    /// The lease is over.
    pub fn end(mut self, ending: Ending) {
        self.ending = ending;
    }

    /// Changes the record.
    fn change<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> Option<T> {
        self.records.store().records.get_mut(&self.number).map(change)
    }
}

impl Drop for OpenRecord {
    fn drop(&mut self) {
        // In one go: what leaves the sources is in the totals before anybody looks.
        let mut store = self.records.store();
        let ended = store.records.get_mut(&self.number).map(|kept| {
            if let Some(sources) = kept.sources.take() {
                kept.record.read(&sources);
            }
            kept.record.took = kept.began.elapsed();
            kept.record.state = TaskState::Ended(self.ending.clone());
            (kept.record.took, kept.record.traffic.bytes_in, kept.record.traffic.bytes_out)
        });
        let (took, bytes_in, bytes_out) = ended.unwrap_or_default();
        store.seconds += took.as_secs_f64();
        store.totals.bytes_in += bytes_in;
        store.totals.bytes_out += bytes_out;
        store.totals.ended(&self.ending);
    }
}
