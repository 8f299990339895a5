//! The loop that asks for work and starts the leases that it gets.

use std::collections::BTreeSet;
use std::sync::Arc;

use posemesh_runner_api::runner::Runners;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, info, warn};

use crate::admission::{Admit, Refusal, TroubleBoard};
use crate::dms::{JobServer, LeaseAnswer};
use crate::journal::{LeaseJournal, OrphanedLease};
use crate::lease::{LeaseContext, OpenPorts, ReleaseOrder};
use crate::meters;
use crate::millis::millis;
use crate::records::{LeaseTotals, TaskRecords};
use crate::shutdown::{AfterDrain, Shutdown};
use crate::workdir::TaskDirs;
use crate::worker::active::{ActiveEnd, ActiveLeases};
use crate::worker::pacing::PollPacing;
use crate::worker::pause::{Pause, PauseNote, Wait};
use crate::worker::polls::{PollAnswer, PollResult, Polls};
use crate::worker::settings::WorkerSettings;
use crate::worker::stop::stop;
use crate::worker::withdrawal::Withdrawal;

/// The most requests for work at a time. One after the other, short tasks would end faster than leases come in: a request
/// takes as long as such a task. More than one is sent only while there is work.
const POLLS_AT_ONCE: usize = 4;

/// What the worker works with.
pub(crate) struct WorkerParts {
    pub(crate) server: Arc<dyn JobServer>,
    pub(crate) runners: Arc<dyn Runners>,
    pub(crate) ports: Arc<dyn OpenPorts>,
    pub(crate) work_dirs: Arc<dyn TaskDirs>,
    /// Decides whether there is what a task may need.
    pub(crate) admission: Arc<dyn Admit>,
    /// Where it is shown why no lease is taken.
    pub(crate) board: TroubleBoard,
    /// Remembers the leases.
    pub(crate) journal: Arc<dyn LeaseJournal>,
    /// Leases that a dead process of this node held.
    pub(crate) orphans: Vec<OrphanedLease>,
    /// Whether the node is registered; no work is asked for while it is not.
    pub(crate) registered: watch::Receiver<bool>,
    /// The capabilities that DDS took last; none if it was told none.
    pub(crate) reported: watch::Receiver<Option<BTreeSet<String>>>,
    /// Where the status server reads what the worker does.
    pub(crate) records: TaskRecords,
}

/// Takes leases and has them worked on.
pub(crate) struct Worker {
    server: Arc<dyn JobServer>,
    settings: WorkerSettings,
    records: TaskRecords,
    registered: LastValue<bool>,
    capabilities: LastValue<BTreeSet<String>>,
    reported: LastValue<Option<BTreeSet<String>>>,
    withdrawal: Withdrawal,
    admission: Arc<dyn Admit>,
    /// To be given back once the node is registered.
    orphans: Vec<OrphanedLease>,
    pacing: PollPacing,
    pause: Pause,
    active: ActiveLeases,
    polls: Polls,
    /// How many leases are worked on at the same time.
    slots: LastValue<usize>,
}

impl Worker {
    /// A worker that does nothing before [`Worker::run`].
    pub(crate) fn new(parts: WorkerParts, settings: WorkerSettings) -> Self {
        let WorkerParts {
            server,
            runners,
            ports,
            work_dirs,
            admission,
            board,
            journal,
            orphans,
            registered,
            reported,
            records,
        } = parts;
        let capabilities = LastValue::new(runners.capabilities());
        let context = LeaseContext {
            server: server.clone(),
            runners,
            ports,
            work_dirs,
            journal,
            settings: settings.lease,
            // Not the shutdown itself: it is given only when the grace time runs out.
            release: ReleaseOrder::default(),
        };
        Self {
            server,
            active: ActiveLeases::new(context, records.clone()),
            records,
            admission,
            orphans,
            pause: Pause::new(board),
            registered: LastValue::new(registered),
            reported: LastValue::new(reported),
            withdrawal: Withdrawal::default(),
            capabilities,
            pacing: PollPacing::new(settings.poll_backoff_min, settings.poll_backoff_max),
            polls: Polls::default(),
            // Nobody changes it, unless somebody is named who may.
            slots: LastValue::new(watch::Sender::new(settings.max_concurrency).subscribe()),
            settings,
        }
    }

    /// Lets `slots` say how many leases are worked on at the same time, from now on.
    pub(crate) fn with_slots(mut self, slots: watch::Receiver<usize>) -> Self {
        self.slots = LastValue::new(slots);
        self
    }

    /// Goes on with a pause of the process before this one.
    #[cfg_attr(not(feature = "plugins"), allow(dead_code))]
    pub(crate) fn recalling(mut self, pause: Option<PauseNote>) -> Self {
        if let Some(note) = pause {
            self.pause.recall(note);
        }
        self
    }

    /// What the next process is to know of a pause, as it changes.
    #[cfg_attr(not(feature = "plugins"), allow(dead_code))]
    pub(crate) fn pause_note(&self) -> watch::Receiver<Option<PauseNote>> {
        self.pause.note()
    }

    /// Takes leases until the node is to stop, then ends what is running within the grace time; or until it has
    /// drained. All tasks that it started have ended when it returns.
    pub(crate) async fn run(mut self, shutdown: &Shutdown) -> LeaseTotals {
        info!(max_concurrency = *self.slots.borrow(), "the worker takes leases");
        let mut drain = LastValue::new(shutdown.watch_drain());
        loop {
            let draining = *drain.borrow();
            // A request that is under way may still bring a lease, which is worked on like the others.
            let idle = self.active.is_empty() && self.polls.is_empty();
            if draining == Some(AfterDrain::Stop) && idle {
                info!("drained");
                break;
            }
            if *self.registered.borrow() {
                self.active.give_back(std::mem::take(&mut self.orphans));
            }
            self.note_withdrawn();
            // Anew in each round: every branch may free a slot, or take away what a poll requires.
            let due = self.poll_due().filter(|_| draining.is_none());
            tokio::select! {
                biased;
                // First: once the node stops, no request is sent any more.
                () = shutdown.stopping().cancelled() => break,
                () = drain.changed() => {}
                // Before the answer to a poll, which is judged by how many leases are worked on.
                Some(ended) = self.active.next_end() => self.session_ended(ended),
                result = self.polls.answer() => match result {
                    PollResult::Refused(refusal) => self.refused(&refusal),
                    PollResult::Answered(answer) => self.answered(answer),
                },
                // A change needs no handler: the next round asks `poll_due` again.
                () = self.registered.changed() => {}
                () = self.capabilities.changed() => {}
                () = self.reported.changed() => {}
                () = self.slots.changed() => {}
                // The fallback is never waited for: `select!` evaluates this even if the condition is false.
                () = until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.polls.start(self.server.clone(), self.admission.clone(), shutdown.clone());
                }
            }
        }
        stop(&mut self.active, &mut self.polls, &self.settings, shutdown).await;
        let totals = self.records.totals();
        info!(
            leased = totals.leased,
            completed = totals.completed,
            failed = totals.failed,
            cancelled = totals.cancelled,
            lost = totals.lost,
            "the worker has stopped"
        );
        totals
    }

    /// When to ask for work; none while work could not be started or enough requests are under way.
    fn poll_due(&self) -> Option<Instant> {
        let (wait, flows) = match self.pause.wait() {
            Wait::ForTrial => return None,
            Wait::Until(moment) => (moment, false),
            Wait::Not => (self.pacing.next(), self.pacing.flows()),
        };
        // Each request may bring a lease.
        let taken = self.active.len() + self.polls.len();
        let may_ask = self.polls.len() < if flows { POLLS_AT_ONCE } else { 1 }
            && taken < (*self.slots.borrow()).max(1)
            && *self.registered.borrow()
            && !self.capabilities.borrow().is_empty()
            && self.orphans.is_empty()
            && !self.active.is_giving_back()
            && !self.pause.is_full(taken);
        let withdrawn = self.withdrawal.until(self.reported.borrow().as_ref());
        may_ask.then(|| self.pacing.next().max(wait).max(withdrawn.unwrap_or(wait)))
    }

    /// Holds requests for work for a moment when a capability goes: DDS is told at once, but the job server may hear of
    /// it a little later.
    fn note_withdrawn(&mut self) {
        let live = self.capabilities.borrow();
        if self.withdrawal.look(&live) {
            self.pacing.withdrawn();
        }
    }

    fn refused(&mut self, refusal: &Refusal) {
        // Trouble is logged by the board, once.
        if let Refusal::Busy(why) = refusal {
            debug!(running = self.active.len(), why, "the running tasks have what the next one may need");
        }
        self.pacing.refused(self.active.len());
    }

    fn answered(&mut self, result: PollAnswer) {
        let word = word(&result.answer);
        meters::POLLS.count(word);
        match &result.answer {
            // Without so much as a task's id the answer is none of a job server: a proxy's page, most likely.
            Ok(LeaseAnswer::Unreadable { task_id: None, error }) => {
                let why = format!(
                    "its answer is no lease ({error}); is DMS_BASE_URL right, and no proxy's page in between?"
                );
                self.records.poll_failed(word, &why);
            }
            Ok(_) => self.records.poll_answered(word),
            Err(error) => self.records.poll_failed(word, &error.text),
        }
        match result.answer {
            Ok(LeaseAnswer::Lease(lease)) => {
                match self.capabilities.borrow().contains(&lease.task.capability) {
                    true => self.pacing.leased(result.sent),
                    // It is run if that can be, but the job server has not heard yet.
                    false => self.pacing.leased_withdrawn(),
                }
                self.pause.leased(lease.task.id);
                self.active.start(*lease, result.sent, result.promise);
            }
            Ok(LeaseAnswer::NoWork) => {
                debug!("no work");
                self.pacing.no_work(result.sent);
            }
            Ok(LeaseAnswer::Busy) => {
                debug!(running = self.active.len(), "the server says that this node holds a lease");
                self.pacing.busy(result.sent, self.active.len());
            }
            Ok(LeaseAnswer::Unreadable { task_id, error }) => {
                let shown = task_id.map(|id| id.to_string());
                warn!(task_id = shown, %error, "got a lease that can't be read");
                self.pacing.no_progress();
                if let Some(task_id) = task_id {
                    self.active.fail_unreadable(task_id, error);
                }
            }
            Err(error) => {
                let retry_in = self.pacing.failed(result.sent, error.retry_after());
                warn!(%error, retry_in_ms = millis(retry_in), "could not ask for work");
            }
        }
    }

    fn session_ended(&mut self, ended: Result<ActiveEnd, JoinError>) {
        match ended {
            Ok(ActiveEnd::Session(end)) => {
                self.pause.ended(&end, self.active.len());
                if end.is_progress() {
                    self.pacing.progress();
                } else {
                    let retry_in = self.pacing.no_progress();
                    debug!(retry_in_ms = millis(retry_in), "the lease got nowhere");
                }
            }
            Ok(ActiveEnd::Report { unreadable: true }) => drop(self.pacing.no_progress()),
            Ok(ActiveEnd::Report { unreadable: false }) => {}
            // A session that broke down has dropped its record, which thereby counts the lease as lost.
            Err(_) => {
                self.pause.broke_down();
                self.pacing.no_progress();
                error!("the task of a lease broke down; the lease is left to expire");
            }
        }
    }
}

/// Waits until a moment. A timer would take a millisecond even for one that has come.
async fn until(moment: Instant) {
    if moment > Instant::now() {
        sleep_until(moment).await;
    }
}

/// What a request for work brought, in one word, for metrics.
fn word<E>(answer: &Result<LeaseAnswer, E>) -> &'static str {
    match answer {
        Ok(LeaseAnswer::Lease(_)) => "lease",
        Ok(LeaseAnswer::NoWork) => "no_work",
        Ok(LeaseAnswer::Busy) => "busy",
        Ok(LeaseAnswer::Unreadable { .. }) => "unreadable",
        Err(_) => "failed",
    }
}

/// A watched value that keeps its last state when its sender is gone.
struct LastValue<T> {
    receiver: watch::Receiver<T>,
    sender_gone: bool,
}

impl<T> LastValue<T> {
    fn new(receiver: watch::Receiver<T>) -> Self {
        Self { receiver, sender_gone: false }
    }

    fn borrow(&self) -> watch::Ref<'_, T> {
        self.receiver.borrow()
    }

    /// Waits for a change; forever if there can be none.
    async fn changed(&mut self) {
        if self.sender_gone || self.receiver.changed().await.is_err() {
            self.sender_gone = true;
            // Returning would make the loop spin: a closed channel is ready at once, each time it is asked.
            std::future::pending::<()>().await;
        }
    }
}
