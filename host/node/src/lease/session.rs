//! The life of one lease, from granted to its one end (protocol 5).

use std::sync::Arc;

use posemesh_domain_client::TaskToken;
use posemesh_net::trace::TARGET;
use posemesh_runner_api::failure::{Blame, FailureKind};
use posemesh_runner_api::reports::{Reports, StopReason};
use posemesh_runner_api::runner::RunnerCall;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, info, info_span, warn};
use uuid::Uuid;

use crate::admission::Promise;
use crate::dms::{FinalReport, Lease};
use crate::heartbeat::{HeartbeatSender, Heartbeats, LeaseClock, LeaseState};
use crate::journal::LeaseJournal;
use crate::lease::conclude::{FinishedRun, conclude};
use crate::lease::context::LeaseContext;
use crate::lease::delivery::deliver_in_time;
use crate::lease::ports::blame_waits;
use crate::lease::release::ReleaseOrder;
use crate::lease::run::run;
use crate::lease::setup::{RunSetup, SetupError, set_up};
use crate::millis::millis;
use crate::records::{LeaseOutcome, OpenRecord};
use crate::telemetry;

/// The work on one lease.
pub(crate) struct LeaseSession {
    context: LeaseContext,
    lease: Lease,
    /// Holds the lease's clock, token and reports until the [`Heartbeats`] take it over.
    sender: HeartbeatSender,
    /// Fires when the server has leased the task once more to this node.
    superseded: CancellationToken,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionEnd {
    pub(crate) task_id: Uuid,
    pub(crate) outcome: LeaseOutcome,
    /// Whether the runner was started.
    pub(crate) started: bool,
    /// Whose fault it is that the task failed, as far as that is known.
    pub(crate) blame: Option<Blame>,
}

impl SessionEnd {
    /// Whether the next lease may be asked for without a wait (protocol 4.1). After a lease that got
    /// nowhere the next may be the same one again.
    pub(crate) fn is_progress(&self) -> bool {
        self.started && !matches!(self.outcome, LeaseOutcome::Lost { .. })
    }

    pub(crate) fn is_completed(&self) -> bool {
        matches!(self.outcome, LeaseOutcome::Completed { .. })
    }

    /// Why the task failed or the lease was lost, for people.
    pub(crate) fn reason(&self) -> &str {
        match &self.outcome {
            LeaseOutcome::Failed { reason, .. } | LeaseOutcome::Lost { reason } => reason,
            LeaseOutcome::Completed { .. } | LeaseOutcome::Cancelled => "",
        }
    }
}

impl LeaseSession {
    /// A session for a lease that was requested at `sent`, unless the lease itself says better.
    pub(crate) fn new(context: LeaseContext, lease: Lease, sent: Instant) -> Self {
        let reports = Reports::new(context.settings.report_limits);
        let token = Arc::new(TaskToken::new(lease.access_token.clone()));
        let sent = lease.sent.unwrap_or(sent);
        let clock = LeaseClock::start(sent, lease.lease_expires_at, lease.server_date);
        let sender = HeartbeatSender::new(context.server.clone(), lease.task.id, clock, reports, token);
        Self { context, lease, sender, superseded: CancellationToken::new() }
    }

    /// To be cancelled when the server leases the same task to this node once more. Nothing is sent about
    /// this lease from then on: the server would take it for the later one.
    pub(crate) fn superseded(&self) -> CancellationToken {
        self.superseded.clone()
    }

    /// Works on the lease until it ends. When this returns, everything that it started has ended, and the
    /// task's directory is removed.
    ///
    /// `promise` is what was set aside for the task; it is given back when the task has ended.
    pub(crate) async fn run(mut self, record: OpenRecord, promise: Promise) -> SessionEnd {
        let began = Instant::now();
        info!(lease_ttl_ms = millis(self.sender.clock().ttl()), "leased");
        let (mut close, written) = Closing::begin(&self, record, began);
        let set_up = set_up(&self.context, &mut self.lease, &mut self.sender, &self.superseded, &promise);
        // The disk and the server are waited for at the same time.
        let (set_up, ()) = tokio::join!(set_up, written);
        let (outcome, started, blame) = match set_up {
            Ok(setup) => {
                let (outcome, blame) = self.work(setup, &mut close.record).await;
                (outcome, true, blame)
            }
            Err(error) => (self.end_unstarted(error).await, false, None),
        };
        close.end(outcome, started, blame)
    }

    /// Ends the lease without working on it: the node shuts down (protocol 5.3).
    pub(crate) async fn release(self, record: OpenRecord) -> SessionEnd {
        let began = Instant::now();
        info!("leased while shutting down; releasing the lease");
        // A cancelled task gets no report, not even one that gives it back (protocol 5.1).
        let error = if self.lease.cancel {
            SetupError::LeaseOver(LeaseState::Cancelled)
        } else {
            SetupError::Shutdown
        };
        // It need not be written before it ends: a node that dies meanwhile would give it back twice.
        let (close, _written) = Closing::begin(&self, record, began);
        let outcome = self.end_unstarted(error).await;
        close.end(outcome, false, None)
    }

    /// Runs the runner with heartbeats beside it, and delivers the final report. Says whose fault a failure is.
    async fn work(self, setup: RunSetup, record: &mut OpenRecord) -> (LeaseOutcome, Option<Blame>) {
        let Self { context, lease, sender, superseded } = self;
        let RunSetup { runner, ports, dir } = setup;
        let reports = sender.reports().clone();
        let label = runner.label();
        info!(runner = label, "running");
        record.run_by(runner.name());
        record.running(label, runner.digest(), reports.clone(), ports.traffic);
        let call = RunnerCall {
            task: lease.task.clone(),
            inputs: ports.inputs,
            outputs: ports.outputs.clone(),
            reports: reports.clone(),
            disk: dir.disk().clone(),
            log_file: record.log_file(),
        };
        // Before the runner starts: the set-up has used some of the lease, and the run may outlast the rest.
        let heartbeats = Heartbeats::start(sender, context.settings.heartbeat, superseded);
        record.beating(heartbeats.times());
        let guest = info_span!(target: TARGET, "guest", runner = runner.name());
        let end = run(runner, call, context.settings.stop_grace, &context.release).instrument(guest).await;
        record.finishing();
        if end.stuck {
            record.stuck();
        }
        if let Some(ended) = end.aborted {
            record.watch_aborted(ended);
        }
        if reports.dropped_events() > 0 {
            warn!(
                dropped = reports.dropped_events(),
                "the runner logged more events than heartbeats could carry"
            );
        }
        // Aborting upload sessions needs the task token, which ends with the lease.
        tokio::select! {
            () = ports.outputs.wait_for_aborts() => {}
            () = context.release.share_is_over() => warn!("stopping: upload sessions may be left at the server"),
        }
        let result = end.result.map_err(|failure| {
            let failure = blame_waits(failure, ports.outputs.as_ref());
            match (reports.stop_reason(), failure.kind) {
                // Nobody has cancelled the task: the node ends, and gives it back.
                (Some(StopReason::Shutdown), FailureKind::Cancelled) => failure.blamed_on(Blame::Host),
                _ => failure,
            }
        });
        let blame = result.as_ref().err().map(|failure| failure.blame);
        record.ran(result.as_ref().err());
        let finished = FinishedRun { task: lease.task, result, artifacts: ports.outputs.finished() };
        let outcome = conclude(&context, finished, &heartbeats, reports.stop_reason()).await;
        // Ended before the directory is removed: that may take long, and there is no lease left to extend.
        drop(heartbeats);
        // Waited for: when the session ends and its slot is free, its disk space is free too.
        dir.remove().await;
        (outcome, blame)
    }

    /// Ends a lease that did not get to its runner. No heartbeats are sent meanwhile: if the final
    /// report can't be delivered within what is left of the lease, it is best that the lease expires.
    async fn end_unstarted(&self, error: SetupError) -> LeaseOutcome {
        // Of a set-up that failed the server is told a bare word; people who look here want to know why.
        let mut cause = None;
        let report = match error {
            SetupError::LeaseOver(state) => return state.into(),
            SetupError::Failed { stage, error, .. } => {
                let report = FinalReport::setup_failed(stage, &error);
                cause = Some(format!("{}: {error}", stage.as_str()));
                report
            }
            SetupError::Shutdown => FinalReport::node_shutdown(&self.lease.task, &[], None),
        };
        let deadline = self.sender.clock().deadline();
        let over = async {
            tokio::select! {
                // Of both at once, superseded is the surer reason: the deadline is only reckoned.
                biased;
                () = self.superseded.cancelled() => LeaseState::superseded(),
                () = sleep_until(deadline) => {
                    LeaseState::Expired("it could not be released in time".to_owned())
                }
            }
        };
        let delivered = deliver_in_time(&self.context, self.sender.task_id(), &report, over).await;
        match (delivered.unwrap_or_else(LeaseOutcome::from), cause) {
            (LeaseOutcome::Failed { reason, confirmed }, Some(cause)) => {
                LeaseOutcome::Failed { reason: format!("{reason}: {cause}"), confirmed }
            }
            (outcome, _) => outcome,
        }
    }
}

/// What is to be done when a lease has ended, however it ends.
struct Closing {
    task_id: Uuid,
    record: OpenRecord,
    journal: Arc<dyn LeaseJournal>,
    release: ReleaseOrder,
    superseded: CancellationToken,
    began: Instant,
}

impl Closing {
    /// Also what waits until the lease is in the journal.
    fn begin(
        session: &LeaseSession,
        record: OpenRecord,
        began: Instant,
    ) -> (Self, impl Future<Output = ()> + use<>) {
        let LeaseSession { context, lease, superseded, .. } = session;
        let (journal, release) = (context.journal.clone(), context.release.clone());
        let written = journal.begin(lease.task.id);
        let superseded = superseded.clone();
        (Self { task_id: lease.task.id, record, journal, release, superseded, began }, written)
    }

    fn end(self, outcome: LeaseOutcome, started: bool, blame: Option<Blame>) -> SessionEnd {
        let took = self.began.elapsed();
        let (runner, bytes_in, bytes_out) = self.record.work();
        match &outcome {
            LeaseOutcome::Completed { .. } | LeaseOutcome::Cancelled => {
                info!(runner, took_ms = millis(took), bytes_in, bytes_out, "lease {outcome}");
            }
            // A runner that was stopped because the lease was lost is not to blame for that.
            LeaseOutcome::Lost { .. } => {
                warn!(runner, took_ms = millis(took), bytes_in, bytes_out, "lease {outcome}");
            }
            LeaseOutcome::Failed { .. } => {
                let blame = blame.map(Blame::as_str);
                warn!(runner, took_ms = millis(took), bytes_in, bytes_out, blame, "lease {outcome}");
            }
        }
        let failure = match &outcome {
            LeaseOutcome::Failed { reason, .. } | LeaseOutcome::Lost { reason } => Some(reason.as_str()),
            LeaseOutcome::Completed { .. } | LeaseOutcome::Cancelled => None,
        };
        telemetry::ended(&Span::current(), outcome.word(), runner.as_deref(), failure);
        // A lease that could not be given back in time is left in the journal: the next start tries again. A lease
        // that was superseded lives on under the same id.
        let left = self.release.is_given() && matches!(outcome, LeaseOutcome::Lost { .. });
        if !left && !self.superseded.is_cancelled() {
            self.journal.end(self.task_id);
        }
        self.record.end(outcome.clone(), blame);
        SessionEnd { task_id: self.task_id, outcome, started, blame }
    }
}
