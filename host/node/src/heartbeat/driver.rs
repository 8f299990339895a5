//! The task that sends the heartbeats of one lease.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, info, warn};
use uuid::Uuid;

use crate::heartbeat::line::{Beat, Line};
use crate::heartbeat::policy::{HeartbeatPolicy, MIN_SPACING};
use crate::lease::server::HeartbeatAnswer;
use posemesh_runner_api::reports::StopReason;

/// How long the last reports may hold up the result of a task, at most half of what the lease has left.
const FLUSH_PATIENCE: Duration = Duration::from_secs(30);

/// Whether a lease is still ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It is.
    Held,
    /// The server wants the task stopped.
    Cancelled,
    /// It is not: the server said so, in these words.
    Lost(String),
    /// It is not: no heartbeat got through in time. The server may see it differently.
    Expired(String),
}

impl Condition {
    /// The server has leased the task to this node once more, so this lease was over.
    pub fn replaced() -> Self {
        Self::Lost("the server has leased the task anew".to_owned())
    }
}

/// The running heartbeats of one lease. Dropping this ends them.
pub struct Heartbeats {
    /// Asks for the last reports to be sent.
    flushes: mpsc::Sender<oneshot::Sender<()>>,
    condition: watch::Receiver<Condition>,
    task_id: watch::Receiver<Uuid>,
    _task: AbortOnDropHandle<()>,
}

impl Heartbeats {
    /// Starts them for a lease whose initial heartbeat was just answered, so the next is due only
    /// after the usual part of the TTL.
    ///
    /// `replaced` fires when the server has leased the task once more: the lease is lost then.
    pub fn start(line: Line, policy: HeartbeatPolicy, replaced: CancellationToken) -> Self {
        let (flushes, asked) = mpsc::channel(1);
        let (condition_tx, condition) = watch::channel(Condition::Held);
        let (task_id_tx, task_id) = watch::channel(line.task_id());
        let now = Instant::now();
        let driver = Driver {
            renewal: line.clock().granted() + policy.renewal(line.clock().ttl()),
            line,
            policy,
            early: None,
            retry: None,
            last: now,
            condition: condition_tx,
            task_id: task_id_tx,
        };
        let task = tokio::spawn(driver.run(asked, replaced).in_current_span());
        Self { flushes, condition, task_id, _task: AbortOnDropHandle::new(task) }
    }

    /// Whether the lease is still ours.
    pub fn condition(&self) -> Condition {
        self.condition.borrow().clone()
    }

    /// Which task the server wants to be told about.
    pub fn task_id(&self) -> Uuid {
        *self.task_id.borrow()
    }

    /// Waits until the lease is no longer ours. Never ends with [`Condition::Held`].
    pub async fn over(&self) -> Condition {
        let mut condition = self.condition.clone();
        match condition.wait_for(|condition| *condition != Condition::Held).await {
            Ok(condition) => condition.clone(),
            // The task ends only after it has said why, or with the runtime.
            Err(_) => Condition::Expired("its heartbeats have ended".to_owned()),
        }
    }

    /// Sends what is reported and not delivered yet, if anything, and returns when it has arrived,
    /// when the lease is over, or when it is time to go on without.
    pub async fn flush(&self) {
        let (done, answered) = oneshot::channel();
        if self.flushes.send(done).await.is_ok() {
            // An error means that the lease is over.
            let _ = answered.await;
        }
    }
}

struct Driver {
    line: Line,
    policy: HeartbeatPolicy,
    /// When the lease is to be renewed.
    renewal: Instant,
    /// When what the runner reported should go out, or storage wants a fresh token.
    early: Option<Instant>,
    /// After a failure: when to try again, and not before.
    retry: Option<Instant>,
    /// When the last heartbeat started.
    last: Instant,
    condition: watch::Sender<Condition>,
    task_id: watch::Sender<Uuid>,
}

impl Driver {
    async fn run(mut self, asked: mpsc::Receiver<oneshot::Sender<()>>, replaced: CancellationToken) {
        tokio::select! {
            biased;
            () = replaced.cancelled() => {}
            () = self.keep(asked) => return,
        }
        self.end(Condition::replaced());
    }

    /// Keeps the lease until it is over or nobody wants it any more.
    async fn keep(&mut self, mut asked: mpsc::Receiver<oneshot::Sender<()>>) {
        let reports = self.line.reports().clone();
        let token = self.line.token().clone();
        while self.held() {
            tokio::select! {
                biased;
                () = sleep_until(self.line.clock().deadline()) => {
                    let since = self.line.clock().granted().elapsed();
                    self.end(Condition::Expired(format!("no heartbeat got through for {since:.1?}")));
                }
                done = asked.recv() => {
                    let Some(done) = done else { return };
                    self.flush().await;
                    let _ = done.send(());
                }
                () = sleep_until(self.due()) => {
                    self.beat().await;
                }
                () = reports.changed() => {
                    // A change that the last heartbeat carried already asks for nothing.
                    if reports.is_pending() {
                        self.want(Instant::now() + self.policy.debounce());
                    }
                }
                () = token.refresh_wanted() => self.want(Instant::now()),
            }
        }
    }

    /// When the next heartbeat starts.
    fn due(&self) -> Instant {
        if let Some(retry) = self.retry {
            return retry;
        }
        let renewal = self.renewal.max(self.last + MIN_SPACING);
        match self.early {
            Some(early) => renewal.min(early.max(self.last + self.policy.spacing())),
            None => renewal,
        }
    }

    /// Asks for a heartbeat before the renewal. What asks while one is waiting goes with it.
    fn want(&mut self, at: Instant) {
        self.early = Some(self.early.map_or(at, |early| early.min(at)));
    }

    fn held(&self) -> bool {
        *self.condition.borrow() == Condition::Held
    }

    async fn beat(&mut self) {
        self.last = Instant::now();
        match self.line.beat().await {
            Beat::Held(answer) => self.renewed(&answer),
            Beat::Cancelled => self.end(Condition::Cancelled),
            Beat::Lost(why) => self.end(Condition::Lost(why)),
            Beat::Failed { again, error } => {
                warn!(%error, retry_in = ?again, lease_left = ?self.line.clock().remaining(), "heartbeat failed");
                self.retry = Some(Instant::now() + again);
            }
        }
    }

    fn renewed(&mut self, answer: &HeartbeatAnswer) {
        if self.retry.take().is_some() {
            info!("heartbeats get through again");
        }
        self.early = None;
        if self.line.reports().is_pending() {
            self.want(Instant::now() + self.policy.debounce());
        }
        self.renewal = self.last + self.policy.renewal(self.line.clock().ttl());
        if let Some(task_id) = answer.task.as_ref().map(|task| task.id).or(answer.task_id) {
            self.task_id.send_if_modified(|current| std::mem::replace(current, task_id) != task_id);
        }
    }

    async fn flush(&mut self) {
        let give_up = Instant::now() + FLUSH_PATIENCE.min(self.line.clock().remaining() / 2);
        if !self.line.reports().is_pending() {
            return;
        }
        // One heartbeat that gets through carries everything: the runner has ended.
        loop {
            self.beat().await;
            let Some(retry) = self.retry.filter(|_| self.held()) else { return };
            if retry >= give_up {
                warn!(
                    "the last progress and events could not be delivered; the result goes out without them"
                );
                return;
            }
            sleep_until(retry).await;
        }
    }

    /// Says that the lease is over, then stops the runner: in this order, so that whoever sees the
    /// runner end finds the reason.
    fn end(&mut self, condition: Condition) {
        let stop = match &condition {
            Condition::Held => return,
            Condition::Cancelled => StopReason::Cancelled,
            Condition::Lost(_) | Condition::Expired(_) => StopReason::LeaseLost,
        };
        self.condition.send_replace(condition);
        self.line.reports().stop(stop);
    }
}
