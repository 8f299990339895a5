//! One heartbeat: what it carries, and what its answer means for the lease.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};
use uuid::Uuid;

use crate::heartbeat::clock::LeaseClock;
use crate::heartbeat::policy::MIN_SPACING;
use crate::lease::server::{HeartbeatAnswer, LeaseServer, ServerError, ServerErrorKind};
use posemesh_domain_client::token::TaskToken;
use posemesh_net::retry::{Backoff, Jitter};
use posemesh_runner_api::reports::Reports;

/// A heartbeat that is not answered within this is tried again.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(30);
/// Every attempt gets at least this, unless the lease ends before.
const SHORTEST_ATTEMPT: Duration = Duration::from_secs(1);
/// Waits between attempts.
const RETRY_WAITS: (Duration, Duration) = (MIN_SPACING, Duration::from_secs(10));

/// The line from one lease to the job server.
pub struct Line {
    /// The job server.
    server: Arc<dyn LeaseServer>,
    /// Which task the heartbeats are for; the server may move it.
    task_id: Uuid,
    /// What the runner reports.
    reports: Reports,
    /// The task token that answers rotate.
    token: Arc<TaskToken>,
    /// What is left of the lease.
    clock: LeaseClock,
    /// Failures in a row.
    backoff: Backoff,
    /// The last progress that the server took.
    accepted: Value,
    /// A progress that the server refused for what it is; not sent again.
    refused: Option<Value>,
}

/// What came of one heartbeat.
#[derive(Debug)]
pub enum Beat {
    /// The lease is extended.
    Held(Box<HeartbeatAnswer>),
    /// The task is to be stopped.
    Cancelled,
    /// The lease is gone, and why.
    Lost(String),
    /// It did not get through, or was refused; the lease goes on.
    Failed {
        /// When to try again.
        again: Duration,
        /// Why.
        error: ServerError,
    },
}

impl Line {
    /// A line for a lease that was just granted.
    pub fn new(
        server: Arc<dyn LeaseServer>,
        task_id: Uuid,
        clock: LeaseClock,
        reports: Reports,
        token: Arc<TaskToken>,
    ) -> Self {
        let accepted = reports.latest_progress();
        let backoff = Backoff::new(2 * RETRY_WAITS.0, RETRY_WAITS.1, Jitter::UPPER_HALF);
        Self { server, task_id, reports, token, clock, backoff, accepted, refused: None }
    }

    /// What is left of the lease.
    pub fn clock(&self) -> &LeaseClock {
        &self.clock
    }

    /// Which task the lease is for, as the server names it now.
    pub fn task_id(&self) -> Uuid {
        self.task_id
    }

    /// What the runner reports.
    pub fn reports(&self) -> &Reports {
        &self.reports
    }

    /// The task token.
    pub fn token(&self) -> &Arc<TaskToken> {
        &self.token
    }

    /// Sends the latest progress and all pending events, once.
    pub async fn beat(&mut self) -> Beat {
        let sent = Instant::now();
        let remaining = self.clock.remaining();
        let snapshot = self.reports.snapshot();
        let progress = if self.refused.as_ref() == Some(&snapshot.progress) {
            &self.accepted
        } else {
            &snapshot.progress
        };
        // A third of what is left: a stalled connection leaves time for another try.
        let limit = (remaining / 3).clamp(SHORTEST_ATTEMPT, LONGEST_ATTEMPT).min(remaining);
        let answer = timeout(limit, self.server.heartbeat(self.task_id, progress, &snapshot.events)).await;
        let error = match answer {
            Ok(Ok(answer)) => {
                let progress = progress.clone();
                self.reports.delivered(&snapshot);
                return self.accept(sent, progress, answer);
            }
            Ok(Err(error)) => error,
            Err(_) => ServerError {
                kind: ServerErrorKind::Retryable { retry_after: None, outcome_unknown: true },
                text: format!("heartbeat of task {}: no answer within {limit:?}", self.task_id),
            },
        };
        match error.kind {
            ServerErrorKind::Lost => return Beat::Lost(error.text),
            ServerErrorKind::Fatal => {
                // What was reported may be what the server minds. The lease is worth more than that.
                if !snapshot.events.is_empty() {
                    warn!(events = snapshot.events.len(), %error, "the server refused a heartbeat; its events are dropped");
                    self.reports.delivered(&snapshot);
                } else if *progress != self.accepted {
                    warn!(%error, "the server refused a heartbeat; its progress is not sent again");
                    self.refused = Some(snapshot.progress);
                }
            }
            ServerErrorKind::Retryable { .. } | ServerErrorKind::Unauthorized => {}
        }
        Beat::Failed { again: self.retry_wait(&error), error }
    }

    fn accept(&mut self, sent: Instant, progress: Value, answer: HeartbeatAnswer) -> Beat {
        self.backoff.reset();
        self.accepted = progress;
        self.clock.extend(sent, answer.lease_expires_at, answer.server_date);
        debug!(
            access_token_updated = answer.access_token.is_some(),
            cancel = answer.cancel,
            ttl = ?self.clock.ttl(),
            "heartbeat answered"
        );
        if let Some(token) = &answer.access_token {
            self.token.rotate(token.clone());
        }
        if let Some(task_id) = answer.task.as_ref().map(|task| task.id).or(answer.task_id) {
            self.task_id = task_id;
        }
        if answer.cancel { Beat::Cancelled } else { Beat::Held(Box::new(answer)) }
    }

    /// Grows with every failure, but leaves room for more tries in what is left of the lease.
    fn retry_wait(&mut self, error: &ServerError) -> Duration {
        let wanted = match error.kind {
            ServerErrorKind::Retryable { retry_after: Some(retry_after), .. } => retry_after,
            _ => Duration::ZERO,
        };
        self.backoff.next_delay().max(wanted).min(self.clock.remaining() / 4).max(MIN_SPACING)
    }
}
