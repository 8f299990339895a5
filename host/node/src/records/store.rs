//! The store of the last tasks, and the open record of each lease that is worked on.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posemesh_domain_client::Traffic;
use posemesh_runner_api::failure::{Blame, FailureKind, RunFailure};
use posemesh_runner_api::reports::Reports;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::dms::Lease;
use crate::heartbeat::LeaseTimes;
use crate::records::history::{FailuresView, History, MinuteView};
use crate::records::listener::{EndedTask, LeaseEvent, LeaseListener};
use crate::records::logs::TaskLogs;
use crate::records::measures::{Measures, MeasuresView, kind_word};
use crate::records::outcome::LeaseOutcome;
use crate::records::polls::PollsSeen;
use crate::records::record::{RecordState, TaskRecord};
use crate::records::totals::LeaseTotals;

/// How many tasks are remembered; more only while more leases are worked on.
pub(super) const MAX_RECORDS: usize = 256;

/// The records of the last tasks. Cloning shares.
#[derive(Debug, Clone, Default)]
pub(crate) struct TaskRecords {
    shared: Arc<Mutex<RecordStore>>,
}

#[derive(Debug, Default)]
struct RecordStore {
    /// The log files, which go with their records.
    logs: Option<TaskLogs>,
    totals: LeaseTotals,
    /// What ended tasks were like.
    measures: Measures,
    /// The last hour.
    history: History,
    /// What came of requests for work.
    polls: PollsSeen,
    /// Aborted runs that still hold a thread.
    aborted_runs: usize,
    /// By the number of the lease, from 1; leases that are worked on are never forgotten.
    records: BTreeMap<u64, StoredRecord>,
    /// Is told of each lease.
    listener: Option<LeaseListener>,
}

#[derive(Debug)]
struct StoredRecord {
    record: TaskRecord,
    began: Instant,
    /// The name of the runner that works on it, or did.
    runner: Option<String>,
    /// Where progress and traffic are read while the task runs.
    sources: Option<(Reports, Arc<Traffic>)>,
    /// Where the times of its lease are read meanwhile.
    times: Option<watch::Receiver<LeaseTimes>>,
}

/// Some of the records.
#[derive(Debug)]
pub(crate) struct RecordPage {
    /// Newest first.
    pub(crate) records: Vec<TaskRecord>,
    /// How many there are on all pages.
    pub(crate) total: usize,
    /// What to ask for before; none if there are no older ones.
    pub(crate) next: Option<u64>,
}

/// What goes on, and the last that ended.
#[derive(Debug)]
pub(crate) struct RecentRecords {
    /// Newest first.
    pub(crate) records: Vec<TaskRecord>,
    /// How many that are worked on are not among them.
    pub(crate) left_out: usize,
}

impl StoredRecord {
    /// The record with the progress of this moment.
    fn now(&self) -> TaskRecord {
        let mut record = self.record.clone();
        if let Some(sources) = &self.sources {
            record.update(sources);
        }
        if !record.has_ended() {
            record.took = self.began.elapsed();
            record.times = self.times.as_ref().map(|times| *times.borrow());
        }
        record
    }
}

impl TaskRecords {
    /// A store that gives each task a log file in this directory.
    pub(crate) fn with_logs(dir: PathBuf) -> Self {
        Self {
            shared: Arc::new(Mutex::new(RecordStore {
                logs: Some(TaskLogs::new(dir)),
                ..RecordStore::default()
            })),
        }
    }

    /// Tells `listener` of each lease from now on. It must not wait.
    #[cfg_attr(not(feature = "plugins"), allow(dead_code))]
    pub(crate) fn listened_by(self, listener: impl Fn(LeaseEvent) + Send + Sync + 'static) -> Self {
        self.store().listener = Some(LeaseListener::new(listener));
        self
    }

    /// Opens the record of a lease; the oldest record that has ended is forgotten if there are too many.
    pub(crate) fn begin(&self, lease: &Lease) -> OpenRecord {
        let mut store = self.store();
        store.totals.leased += 1;
        let mut removed = None;
        if store.records.len() >= MAX_RECORDS {
            // Keys ascend with the grants, so the first one that has ended is the oldest.
            let oldest = store.records.iter().find(|(_, stored)| stored.record.has_ended());
            let oldest = oldest.map(|(number, _)| *number);
            let forgotten = oldest.and_then(|number| store.records.remove(&number)?.record.log_file);
            removed = forgotten.and_then(|file| store.logs.as_mut()?.forget(file));
        }
        // Unreadable leases count too, so numbers have gaps; they stay unique, as the count only grows.
        let number = store.totals.leased;
        // The number keeps logs apart: a task can be leased more than once.
        let log_file = store.logs.as_ref().map(|logs| logs.file_of(lease.task.id, number));
        let record = TaskRecord::new(number, lease, log_file);
        let told = store.listener.clone().map(|listener| (listener, Box::new(record.clone())));
        store.records.insert(
            number,
            StoredRecord { record, began: Instant::now(), runner: None, sources: None, times: None },
        );
        drop(store);
        if let Some(removed) = removed {
            removed.remove();
        }
        if let Some((listener, record)) = told {
            listener.tell(LeaseEvent::Began(record));
        }
        // Stands unless `end` replaces it: a session that panics or is aborted closes its record all the same.
        let reason = "the node stopped before the final report was delivered".to_owned();
        OpenRecord {
            records: self.clone(),
            number,
            outcome: LeaseOutcome::Lost { reason },
            failure: None,
            blame: None,
        }
    }

    /// All records, oldest first, with the progress of this moment.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn list(&self) -> Vec<TaskRecord> {
        self.store().records.values().map(StoredRecord::now).collect()
    }

    /// At most `limit` records, newest first, of those that are older than the one with the number `before`.
    pub(crate) fn page(&self, before: Option<u64>, limit: usize) -> RecordPage {
        let store = self.store();
        let mut older = store.records.range(..before.unwrap_or(u64::MAX)).rev();
        let records: Vec<TaskRecord> = older.by_ref().take(limit).map(|(_, stored)| stored.now()).collect();
        let next = older.next().and_then(|_| records.last()).map(|record| record.number);
        RecordPage { records, total: store.records.len(), next }
    }

    /// The newest record of a task, which can have been here more than once.
    pub(crate) fn find(&self, task: Uuid) -> Option<TaskRecord> {
        let store = self.store();
        let found = store.records.values().rev().find(|stored| stored.record.task_id == task);
        found.map(StoredRecord::now)
    }

    /// What is worked on now, the oldest `most_running` of it, and the last `ended` that have ended.
    pub(crate) fn recent(&self, most_running: usize, ended: usize) -> RecentRecords {
        let store = self.store();
        let ends = |stored: &&StoredRecord| stored.record.has_ended();
        let mut running = store.records.values().filter(|stored| !ends(stored));
        // What has been there for longest is what somebody may be looking for.
        let mut records: Vec<TaskRecord> =
            running.by_ref().take(most_running).map(StoredRecord::now).collect();
        let left_out = running.count();
        records.extend(store.records.values().rev().filter(ends).take(ended).map(StoredRecord::now));
        drop(store);
        records.sort_by_key(|record| std::cmp::Reverse(record.number));
        RecentRecords { records, left_out }
    }

    /// Notes that the server has just answered a request for work, with what.
    pub(crate) fn poll_answered(&self, result: &'static str) {
        self.store().polls.answered(result);
    }

    /// Notes how a request for work has failed.
    pub(crate) fn poll_failed(&self, result: &'static str, error: &str) {
        self.store().polls.failed(result, error);
    }

    /// What came of requests for work.
    pub(crate) fn polls(&self) -> PollsSeen {
        self.store().polls.clone()
    }

    /// What ended tasks were like, and what running ones have used so far.
    pub(crate) fn measures(&self) -> MeasuresView {
        let store = self.store();
        let running = store.records.values().filter_map(|stored| {
            let (reports, _) = stored.sources.as_ref()?;
            Some((stored.runner.as_deref()?, reports.usage()))
        });
        store.measures.view(running)
    }

    /// The name that a runner has in the metrics: its own, or `other` if there are too many.
    pub(crate) fn metrics_name(&self, runner: &str) -> String {
        self.store().measures.know(runner)
    }

    /// The last hour, a minute each.
    pub(crate) fn history(&self) -> Vec<MinuteView> {
        self.store().history.view()
    }

    /// How tasks failed in the last hour, the most frequent first.
    pub(crate) fn hour_failures(&self) -> Vec<FailuresView> {
        self.store().history.failures()
    }

    /// How leases ended so far, and what was moved, also by leases that have not ended.
    pub(crate) fn totals(&self) -> LeaseTotals {
        let store = self.store();
        let mut totals = store.totals;
        // Only open records have sources: what ended leases moved is in the totals already.
        for (_, traffic) in store.records.values().filter_map(|stored| stored.sources.as_ref()) {
            totals.bytes_in += traffic.bytes_in();
            totals.bytes_out += traffic.bytes_out();
        }
        totals
    }

    /// Runs that were aborted and still hold a thread of the runtime now. Runners that their own host could
    /// not end are counted by [`posemesh_runner_api::runner::Runners::stuck`].
    pub(crate) fn aborted_runs(&self) -> usize {
        self.store().aborted_runs
    }

    /// Counts a lease of which no more than the task's id could be read, and how it ends. No record is made: there is
    /// nothing to show but an id.
    pub(crate) fn begin_unreadable(&self, task_id: Uuid) -> UnreadableLease {
        let mut store = self.store();
        store.totals.leased += 1;
        let number = store.totals.leased;
        drop(store);
        let reason = "the node stopped before the final report was delivered".to_owned();
        let (leased_at, began) = (OffsetDateTime::now_utc(), Instant::now());
        let outcome = LeaseOutcome::Lost { reason };
        UnreadableLease { records: self.clone(), number, task_id, leased_at, began, outcome }
    }

    fn store(&self) -> MutexGuard<'_, RecordStore> {
        // Nothing panics while the lock is held; if something did, the store is still whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lease that could not be read, until it ends. Dropped without an outcome, it counts as lost.
#[derive(Debug)]
pub(crate) struct UnreadableLease {
    records: TaskRecords,
    number: u64,
    task_id: Uuid,
    leased_at: OffsetDateTime,
    began: Instant,
    /// Counted when this is dropped.
    outcome: LeaseOutcome,
}

impl UnreadableLease {
    /// Counts how it ended.
    pub(crate) fn end(mut self, outcome: LeaseOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for UnreadableLease {
    fn drop(&mut self) {
        let mut store = self.records.store();
        store.totals.count(&self.outcome);
        let listener = store.listener.clone();
        drop(store);
        let Self { number, task_id, leased_at, .. } = *self;
        let (took, outcome) = (self.began.elapsed(), self.outcome.clone());
        if let Some(listener) = listener {
            listener.tell(LeaseEvent::Unreadable { number, task_id, leased_at, took, outcome });
        }
    }
}

/// The record of one lease while it is worked on. Dropped without an outcome, the lease counts as lost.
#[derive(Debug)]
pub(crate) struct OpenRecord {
    records: TaskRecords,
    number: u64,
    /// Written down when this is dropped.
    outcome: LeaseOutcome,
    /// How its run failed, if it did.
    failure: Option<FailureKind>,
    /// Whose fault that was.
    blame: Option<Blame>,
}

impl OpenRecord {
    /// Notes the name of the runner that is about to be started.
    pub(crate) fn run_by(&self, name: String) {
        self.change(|stored| stored.runner = Some(name));
    }

    /// Notes how the run ended.
    pub(crate) fn ran(&mut self, failure: Option<&RunFailure>) {
        self.failure = failure.map(|failure| failure.kind);
        let mut store = self.records.store();
        let store = &mut *store;
        let runner = store.records.get(&self.number).and_then(|stored| stored.runner.as_deref());
        store.measures.ran(runner.unwrap_or_default(), failure);
    }

    /// Notes that the runner is started; `sha256` is that of its file.
    pub(crate) fn running(
        &self,
        runner: String,
        sha256: Option<String>,
        reports: Reports,
        traffic: Arc<Traffic>,
    ) {
        self.change(|stored| {
            stored.record.run_by(&runner, sha256);
            stored.sources = Some((reports, traffic));
        });
    }

    /// Notes where the times of its lease are read from now on.
    pub(crate) fn beating(&self, times: watch::Receiver<LeaseTimes>) {
        self.change(|stored| stored.times = Some(times));
    }

    /// The file for what the runner prints.
    pub(crate) fn log_file(&self) -> Option<PathBuf> {
        self.change(|stored| stored.record.log_file.clone()).flatten()
    }

    /// Notes that the runner has ended.
    pub(crate) fn finishing(&self) {
        self.change(|stored| stored.record.state = RecordState::Finishing);
    }

    /// Counts a run whose runner could not be ended.
    pub(crate) fn stuck(&self) {
        self.records.store().totals.stuck_runs += 1;
    }

    /// Counts an aborted run among those that hold a thread, until it has ended.
    pub(crate) fn watch_aborted(&self, ended: impl Future<Output = ()> + Send + 'static) {
        let records = self.records.clone();
        // Counted before the task exists that takes it back, so the count never falls below zero.
        records.store().aborted_runs += 1;
        tokio::spawn(async move {
            ended.await;
            records.store().aborted_runs -= 1;
        });
    }

    /// The runner that works on the task, or has, and the bytes that were moved from and to the domain server.
    pub(crate) fn work(&self) -> (Option<String>, u64, u64) {
        let work = self.change(|stored| {
            let now = stored.now();
            (now.runner, now.traffic.bytes_in, now.traffic.bytes_out)
        });
        work.unwrap_or_default()
    }

    /// Closes the record.
    pub(crate) fn end(mut self, outcome: LeaseOutcome, blame: Option<Blame>) {
        if let Some(blame) = blame {
            let mut store = self.records.store();
            store.measures.failed(self.failure, blame);
            store.history.failed(kind_word(self.failure), blame);
        }
        self.blame = blame;
        // `drop` does the rest: however a record is left, it is closed once and in one way.
        self.outcome = outcome;
    }

    fn change<T>(&self, change: impl FnOnce(&mut StoredRecord) -> T) -> Option<T> {
        self.records.store().records.get_mut(&self.number).map(change)
    }
}

impl Drop for OpenRecord {
    fn drop(&mut self) {
        // Under one lock: what leaves the sources is in the totals before anybody looks.
        let mut locked = self.records.store();
        let store = &mut *locked;
        let ended = store.records.get_mut(&self.number).map(|stored| {
            // A last look, then they are let go: a record must not keep the reports of a finished run alive.
            if let Some(sources) = stored.sources.take() {
                stored.record.update(&sources);
            }
            stored.times = None;
            stored.record.took = stored.began.elapsed();
            stored.record.end(self.outcome.clone());
            if let Some(runner) = &stored.runner {
                store.measures.used(runner, &stored.record.usage);
            }
            (stored.record.took, stored.record.traffic.bytes_in, stored.record.traffic.bytes_out)
        });
        let (took, bytes_in, bytes_out) = ended.unwrap_or_default();
        store.measures.ended(self.outcome.word(), took);
        store.history.ended(&self.outcome, took);
        store.totals.bytes_in += bytes_in;
        store.totals.bytes_out += bytes_out;
        store.totals.count(&self.outcome);
        let told = store.listener.clone().and_then(|listener| {
            let record = store.records.get(&self.number)?.record.clone();
            Some((listener, record))
        });
        drop(locked);
        if let Some((listener, record)) = told {
            let (outcome, kind, blame) = (self.outcome.clone(), self.failure, self.blame);
            listener.tell(LeaseEvent::Ended(Box::new(EndedTask { record, outcome, kind, blame })));
        }
    }
}
