//! The task that sends the heartbeats of one lease.

use std::time::Duration;

use posemesh_runner_api::reports::{Reports, StopReason};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, info, warn};
use uuid::Uuid;

use crate::heartbeat::policy::{HeartbeatPolicy, MIN_SPACING};
use crate::heartbeat::sender::{HeartbeatResult, HeartbeatSender};
use crate::heartbeat::spacing::ReportSpacing;
use crate::heartbeat::state::LeaseState;
use crate::heartbeat::times::LeaseTimes;
use crate::millis::millis;

/// How long the last reports may hold up the result of a task, unless the server asked to be left alone for longer; at
/// most half of what the lease has left.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);

/// No heartbeat begins later than this before the end of its lease, or an eighth of a short one: it could extend the lease
/// without its answer being heard in time, and a lease that lives on after its node has given it up keeps its task from
/// everybody.
const LAST_ATTEMPT: Duration = Duration::from_millis(250);

/// The running heartbeats of one lease. Dropping this ends them.
pub(crate) struct Heartbeats {
    /// Asks for the last reports to be sent.
    flushes: mpsc::Sender<oneshot::Sender<()>>,
    state: watch::Receiver<LeaseState>,
    task_id: watch::Receiver<Uuid>,
    times: watch::Receiver<LeaseTimes>,
    _task: AbortOnDropHandle<()>,
}

impl Heartbeats {
    /// Starts them for a lease whose initial heartbeat was just answered, so the next one is due only
    /// after the part of the TTL that the policy says.
    ///
    /// `superseded` fires when the server has leased the task once more: the lease is lost then.
    pub(crate) fn start(
        sender: HeartbeatSender,
        policy: HeartbeatPolicy,
        superseded: CancellationToken,
    ) -> Self {
        // One place is enough: a lease is flushed once, by the session that concludes it.
        let (flushes, flush_requests) = mpsc::channel(1);
        let (state_tx, state) = watch::channel(LeaseState::Active);
        let (task_id_tx, task_id) = watch::channel(sender.task_id());
        // Counted from the request, like the lease itself: a slow set-up must not put the renewal off.
        let renewal = sender.clock().granted() + policy.renewal(sender.clock().ttl());
        let lease_ends = sender.clock().deadline();
        let (times_tx, times) = watch::channel(LeaseTimes { lease_ends, next_heartbeat: renewal });
        let driver = HeartbeatDriver {
            renewal,
            sender,
            policy,
            early: None,
            urgent: None,
            spacing: ReportSpacing::default(),
            retry: None,
            not_before: None,
            // The initial heartbeat has just been answered, so the spacing holds for whatever follows it.
            last: Instant::now(),
            state: state_tx,
            task_id: task_id_tx,
            times: times_tx,
        };
        let task = tokio::spawn(driver.run(flush_requests, superseded).in_current_span());
        Self { flushes, state, task_id, times, _task: AbortOnDropHandle::new(task) }
    }

    /// When the lease ends and the next heartbeat is due, now and later.
    pub(crate) fn times(&self) -> watch::Receiver<LeaseTimes> {
        self.times.clone()
    }

    /// Whether the lease still belongs to this node.
    pub(crate) fn state(&self) -> LeaseState {
        self.state.borrow().clone()
    }

    /// The task that the final report is addressed to, as the server named it last.
    pub(crate) fn task_id(&self) -> Uuid {
        *self.task_id.borrow()
    }

    /// Waits until the lease is over. Never returns [`LeaseState::Active`].
    pub(crate) async fn over(&self) -> LeaseState {
        // A receiver of its own: `wait_for` needs it mutable, while callers share the heartbeats.
        let mut state = self.state.clone();
        match state.wait_for(|state| *state != LeaseState::Active).await {
            Ok(state) => state.clone(),
            // The task ends only after it has set the state, or with the runtime.
            Err(_) => LeaseState::Expired("its heartbeats have ended".to_owned()),
        }
    }

    /// Sends the reports that are not delivered yet, if there are any. Returns when they are delivered,
    /// when the lease is over, or when their timeout has passed.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.flushes.send(done).await.is_ok() {
            // An error means that the lease is over.
            let _ = flushed.await;
        }
    }
}

struct HeartbeatDriver {
    sender: HeartbeatSender,
    policy: HeartbeatPolicy,
    /// When the lease is to be renewed.
    renewal: Instant,
    /// When a heartbeat is wanted before the renewal, for new reports.
    early: Option<Instant>,
    /// When a heartbeat is wanted before the renewal, and without the longer spacing of reports: the domain server
    /// refused the task token, or events would be dropped.
    urgent: Option<Instant>,
    /// How far apart heartbeats are that carry nothing but reports.
    spacing: ReportSpacing,
    /// After a failure: when the next attempt is made, and not before.
    retry: Option<Instant>,
    /// After a failure: until when the server asked to be left alone, as far as the lease allows.
    not_before: Option<Instant>,
    /// When the last heartbeat started.
    last: Instant,
    state: watch::Sender<LeaseState>,
    task_id: watch::Sender<Uuid>,
    times: watch::Sender<LeaseTimes>,
}

impl HeartbeatDriver {
    async fn run(
        mut self,
        flush_requests: mpsc::Receiver<oneshot::Sender<()>>,
        superseded: CancellationToken,
    ) {
        tokio::select! {
            biased;
            // First, and even in the middle of a heartbeat: the server would take it for one of the later lease.
            () = superseded.cancelled() => {}
            () = self.keep_alive(flush_requests) => return,
        }
        self.end(LeaseState::superseded());
    }

    /// Returns when the lease is over or its [`Heartbeats`] are dropped.
    async fn keep_alive(&mut self, mut flush_requests: mpsc::Receiver<oneshot::Sender<()>>) {
        let reports = self.sender.reports().clone();
        let token = self.sender.token().clone();
        while self.is_active() {
            let (lease_ends, next_heartbeat) = (self.sender.clock().deadline(), self.due());
            self.times.send_replace(LeaseTimes { lease_ends, next_heartbeat });
            tokio::select! {
                biased;
                // First: once the lease is over nothing more may be sent, however much is due.
                () = sleep_until(self.sender.clock().deadline()) => {
                    let since = self.sender.clock().granted().elapsed();
                    self.end(LeaseState::Expired(format!("no heartbeat got through for {since:.1?}")));
                }
                // Before a heartbeat that is due: the flush carries the same, and the result waits for it.
                done = flush_requests.recv() => {
                    // The session has dropped its handle: there is nobody left to keep the lease for.
                    let Some(done) = done else { return };
                    self.flush().await;
                    let _ = done.send(());
                }
                // Before new reports: a runner that reports without pause can't hold up the renewal.
                () = sleep_until(self.due()), if !self.is_too_late() => {
                    // Awaited and not raced with the branches: a new report cuts no heartbeat short.
                    self.send().await;
                }
                () = reports.changed() => {
                    // The last heartbeat may have carried the change already.
                    self.request_for_reports(&reports);
                }
                // Not gathered for a while like reports: a request to the domain server is waiting for the token.
                () = token.refresh_wanted() => {
                    self.urgent.get_or_insert_with(Instant::now);
                }
            }
        }
    }

    /// Whether the next heartbeat would begin too late.
    fn is_too_late(&self) -> bool {
        let clock = self.sender.clock();
        self.due().max(Instant::now()) + LAST_ATTEMPT.min(clock.ttl() / 8) > clock.deadline()
    }

    /// When the next heartbeat starts.
    fn due(&self) -> Instant {
        // Reports don't shorten this wait: a server in trouble must not be pressed because a runner is busy.
        if let Some(retry) = self.retry {
            return retry;
        }
        // The spacing holds for renewals too: a TTL of milliseconds must not become a flood.
        let renewal = self.renewal.max(self.last + MIN_SPACING);
        let shortest = self.policy.spacing();
        // An early request may bring the heartbeat forward, but its spacing must not put the renewal off.
        let early = self.early.map(|at| at.max(self.last + self.spacing.distance(at, shortest)));
        let urgent = self.urgent.map(|at| at.max(self.last + shortest));
        [early, urgent].into_iter().flatten().fold(renewal, Instant::min)
    }

    /// Requests a heartbeat before the renewal if there is something to deliver. Further requests until then are served
    /// by the same one.
    fn request_for_reports(&mut self, reports: &Reports) {
        // The last heartbeat may have carried the change already.
        if !reports.is_pending() {
            return;
        }
        let at = Instant::now() + self.policy.debounce();
        // The earlier of both: a steady flow of reports would otherwise put its heartbeat off again and again.
        self.early = Some(self.early.map_or(at, |early| early.min(at)));
        // Not spaced like others: what does not fit into the queue is lost.
        if reports.is_half_full() {
            self.urgent.get_or_insert_with(Instant::now);
        }
    }

    fn is_active(&self) -> bool {
        *self.state.borrow() == LeaseState::Active
    }

    async fn send(&mut self) {
        // Taken before the request, since spacing and renewals are counted from the starts of heartbeats.
        self.last = Instant::now();
        // Others carry the reports too, but they come anyway: they use up nothing of the burst.
        if self.early.is_some() && self.urgent.is_none() && self.retry.is_none() && self.last < self.renewal {
            self.spacing.sent(self.last);
        }
        match self.sender.send().await {
            HeartbeatResult::Extended(_) => self.extended(),
            HeartbeatResult::Cancelled => self.end(LeaseState::Cancelled),
            HeartbeatResult::Lost(reason) => self.end(LeaseState::Lost(reason)),
            HeartbeatResult::Failed { retry_in, error } => {
                let lease_left_ms = millis(self.sender.clock().remaining());
                warn!(%error, retry_in_ms = millis(retry_in), lease_left_ms, "heartbeat failed");
                let now = Instant::now();
                self.retry = Some(now + retry_in);
                self.not_before = error.retry_after().map(|asked| now + asked.min(retry_in));
            }
        }
    }

    fn extended(&mut self) {
        if self.retry.take().is_some() {
            info!("heartbeats get through again");
        }
        (self.early, self.urgent, self.not_before) = (None, None, None);
        // What was reported while the heartbeat was under way was not part of it.
        let reports = self.sender.reports().clone();
        self.request_for_reports(&reports);
        self.renewal = self.last + self.policy.renewal(self.sender.clock().ttl());
        let task_id = self.sender.task_id();
        self.task_id.send_if_modified(|current| std::mem::replace(current, task_id) != task_id);
    }

    async fn flush(&mut self) {
        let now = Instant::now();
        if !self.sender.reports().is_pending() {
            return;
        }
        // The other half is for the final report: a lease that expires meanwhile would lose the result.
        let latest = now + self.sender.clock().remaining() / 2;
        let mut deadline = latest.min(now + FLUSH_TIMEOUT);
        if let Some(asked) = self.not_before.filter(|asked| *asked > now) {
            // The server asked to be left alone, and a heartbeat before that would only be refused as well.
            deadline = latest.min(deadline.max(asked));
            sleep_until(asked.min(deadline)).await;
        }
        // One heartbeat that gets through carries everything: the runner has ended.
        loop {
            if self.is_too_late() {
                return;
            }
            self.send().await;
            let Some(retry) = self.retry.filter(|_| self.is_active()) else { return };
            // The next attempt would come too late, so waiting for it would only hold up the result.
            if retry >= deadline {
                warn!(
                    "the last progress and events could not be delivered; the result goes out without them"
                );
                return;
            }
            sleep_until(retry).await;
        }
    }

    /// Publishes that the lease is over, then stops the runner: in this order, so that whoever sees the
    /// runner end finds the reason.
    fn end(&mut self, state: LeaseState) {
        let stop = match &state {
            LeaseState::Active => return,
            LeaseState::Cancelled => StopReason::Cancelled,
            LeaseState::Lost(_) | LeaseState::Expired(_) => StopReason::LeaseLost,
        };
        self.state.send_replace(state);
        self.sender.reports().stop(stop);
    }
}
