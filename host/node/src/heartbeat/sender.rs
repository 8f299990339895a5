//! One heartbeat: what it carries, and what its answer means for the lease (protocol 3.4).

use std::sync::Arc;
use std::time::Duration;

use posemesh_domain_client::TaskToken;
use posemesh_net::meter::{self, Peer};
use posemesh_net::retry::{Backoff, Jitter, uniform};
use posemesh_net::trace::TARGET;
use posemesh_runner_api::json_text::JsonText;
use posemesh_runner_api::reports::{ReportSnapshot, Reports};
use tokio::time::{Instant, timeout};
use tracing::{Instrument as _, debug, info_span, warn};
use uuid::Uuid;

use crate::dms::{HeartbeatAnswer, JobServer, JobServerError, JobServerErrorKind};
use crate::heartbeat::clock::LeaseClock;
use crate::heartbeat::policy::MIN_SPACING;
use crate::meters;
use crate::millis::millis;

/// Longest timeout of one attempt; then it is tried again.
const MAX_ATTEMPT: Duration = Duration::from_secs(30);
/// Shortest timeout of one attempt, unless the lease ends before.
const MIN_ATTEMPT: Duration = Duration::from_secs(1);
/// Ceiling of the wait before a server that perhaps knows no such lease is asked once more.
const DOUBT_WAIT: Duration = Duration::from_secs(5);
/// Ceiling of the wait between attempts.
const MAX_RETRY_WAIT: Duration = Duration::from_secs(10);

/// Sends the heartbeats of one lease, one at a time, and keeps the lease's clock and task token current.
pub(crate) struct HeartbeatSender {
    server: Arc<dyn JobServer>,
    /// The task that heartbeats are addressed to; an answer may name another one.
    task_id: Uuid,
    reports: Reports,
    /// The task token, which answers rotate.
    token: Arc<TaskToken>,
    clock: LeaseClock,
    backoff: Backoff,
    /// The last progress that the server accepted.
    accepted: JsonText,
    /// A progress that the server refused for its content; it is not sent again.
    refused: Option<JsonText>,
    /// The last answers were that there is no such lease, and it was not believed yet.
    doubted: bool,
}

/// The result of one heartbeat.
#[derive(Debug)]
pub(crate) enum HeartbeatResult {
    /// The lease is extended.
    Extended(Box<HeartbeatAnswer>),
    /// The task is to be stopped (protocol 5.1).
    Cancelled,
    /// The lease is lost, for this reason (protocol 5.2).
    Lost(String),
    /// No answer, or a refusal; the lease goes on.
    Failed {
        /// How long to wait before the next attempt.
        retry_in: Duration,
        /// Why it failed.
        error: JobServerError,
    },
}

impl HeartbeatResult {
    /// One word, for metrics.
    fn word(&self) -> &'static str {
        match self {
            Self::Extended(_) => "extended",
            Self::Cancelled => "cancelled",
            Self::Lost(_) => "lost",
            Self::Failed { .. } => "failed",
        }
    }
}

impl HeartbeatSender {
    /// A sender for a lease that was just granted.
    pub(crate) fn new(
        server: Arc<dyn JobServer>,
        task_id: Uuid,
        clock: LeaseClock,
        reports: Reports,
        token: Arc<TaskToken>,
    ) -> Self {
        // Until the server has accepted a progress, the empty one stands in for one that it refuses.
        let accepted = reports.latest_progress();
        // The upper half of twice the spacing: even the shortest wait after a failure keeps the spacing.
        let backoff = Backoff::new(2 * MIN_SPACING, MAX_RETRY_WAIT, Jitter::UPPER_HALF);
        Self { server, task_id, reports, token, clock, backoff, accepted, refused: None, doubted: false }
    }

    pub(crate) fn clock(&self) -> &LeaseClock {
        &self.clock
    }

    /// The task that the lease is for, as the server named it last.
    pub(crate) fn task_id(&self) -> Uuid {
        self.task_id
    }

    pub(crate) fn reports(&self) -> &Reports {
        &self.reports
    }

    pub(crate) fn token(&self) -> &Arc<TaskToken> {
        &self.token
    }

    /// Sends the latest progress and all pending events, once.
    pub(crate) async fn send(&mut self) -> HeartbeatResult {
        let result = self.send_once().await;
        meters::HEARTBEATS.count(result.word());
        if matches!(result, HeartbeatResult::Failed { .. }) {
            meter::retried(Peer::Dms);
        }
        result
    }

    async fn send_once(&mut self) -> HeartbeatResult {
        // Taken before anything is sent: unless the answer says better, the lease that it grants counts from here.
        let sent = Instant::now();
        let remaining = self.clock.remaining();
        let snapshot = self.reports.snapshot();
        // Every heartbeat needs a progress (protocol 3.4): the last accepted one goes in place of a refused one.
        let progress = if self.refused.as_ref() == Some(&snapshot.progress) {
            self.accepted.clone()
        } else {
            snapshot.progress.clone()
        };
        // A third of what is left: a stalled connection leaves time for another attempt.
        let limit = (remaining / 3).clamp(MIN_ATTEMPT, MAX_ATTEMPT).min(remaining);
        let span = info_span!(target: TARGET, "heartbeat", events = snapshot.events.len());
        let beat = self.server.heartbeat(self.task_id, &progress, &snapshot.events).instrument(span);
        let answer = timeout(limit, beat).await;
        let error = match answer {
            Ok(Ok(answer)) => {
                // Delivered, whatever else the answer says: a server that cancels the task has the reports as well.
                self.reports.delivered(&snapshot);
                return self.accept(sent, progress, answer);
            }
            Ok(Err(error)) => error,
            // The call is dropped, not undone: the server may have extended the lease all the same.
            Err(_) => JobServerError::unanswered(format!(
                "heartbeat of task {}: no answer within {limit:?}",
                self.task_id
            )),
        };
        match error.kind {
            JobServerErrorKind::Lost => return HeartbeatResult::Lost(error.text),
            // Said twice it is believed, whatever else was answered in between.
            JobServerErrorKind::PerhapsLost if self.doubted => return HeartbeatResult::Lost(error.text),
            JobServerErrorKind::PerhapsLost => {
                self.doubted = true;
                let retry_in = self.doubt_wait();
                return HeartbeatResult::Failed { retry_in, error };
            }
            JobServerErrorKind::Fatal | JobServerErrorKind::TooLarge => {
                self.withdraw(snapshot, &progress, &error);
            }
            // A refused machine token too: the node may be registered again while the lease still lives.
            JobServerErrorKind::Retryable { .. } | JobServerErrorKind::Unauthorized => {}
        }
        HeartbeatResult::Failed { retry_in: self.retry_wait(&error), error }
    }

    fn accept(&mut self, sent: Instant, progress: JsonText, answer: HeartbeatAnswer) -> HeartbeatResult {
        meters::HEARTBEAT_MARGIN.observe_time(self.clock.remaining());
        self.backoff.reset();
        self.doubted = false;
        self.accepted = progress;
        self.clock.extend(answer.sent.unwrap_or(sent), answer.lease_expires_at, answer.server_date);
        debug!(
            access_token_updated = answer.access_token.is_some(),
            cancel = answer.cancel,
            ttl_ms = millis(self.clock.ttl()),
            "heartbeat answered"
        );
        // No token in the answer is no revocation: the current one stays in use.
        if let Some(token) = &answer.access_token {
            self.token.rotate(token.clone());
        }
        self.task_id = answer.addressed_task().unwrap_or(self.task_id);
        // Judged last: aborting the upload sessions of a cancelled task still needs the newest token.
        if answer.cancel { HeartbeatResult::Cancelled } else { HeartbeatResult::Extended(Box::new(answer)) }
    }

    /// Stops sending what the server has refused for good. The reports may be what it minds, and the lease
    /// is worth more than they are.
    fn withdraw(&mut self, refused: ReportSnapshot, progress: &JsonText, error: &JobServerError) {
        // The server doesn't say what it minds, so one suspect at a time: if not the events, then the progress.
        if !refused.events.is_empty() {
            warn!(events = refused.events.len(), %error, "the server refused a heartbeat; its events are dropped");
            // Events that came after this heartbeat was put together stay in the queue: they were not refused.
            self.reports.delivered(&refused);
        } else if *progress != self.accepted {
            warn!(%error, "the server refused a heartbeat; its progress is not sent again");
            self.refused = Some(refused.progress);
        }
    }

    /// Long enough for an ingress to be replaced, short enough to leave time for more attempts in the lease.
    fn doubt_wait(&self) -> Duration {
        let wait = uniform(DOUBT_WAIT / 2, DOUBT_WAIT);
        wait.min(self.clock.remaining() / 4).max(MIN_SPACING)
    }

    /// Grows with every failure, but leaves room for more attempts in what is left of the lease.
    fn retry_wait(&mut self, error: &JobServerError) -> Duration {
        let requested = error.retry_after().unwrap_or_default();
        // The lease limits what the server asks for: a longer wait would lose it. The floor comes last, since
        // a quarter of nothing would be a busy loop.
        self.backoff.next_delay().max(requested).min(self.clock.remaining() / 4).max(MIN_SPACING)
    }
}
