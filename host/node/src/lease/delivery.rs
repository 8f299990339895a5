//! The delivery of a final report: `complete` or `fail`, tried again for as long as the lease lives
//! (protocol 3.5, 3.6).

use std::future::ready;
use std::time::Duration;

use posemesh_net::meter::{self, Peer};
use posemesh_net::retry::{Backoff, Jitter, uniform};
use posemesh_net::trace::TARGET;
use tokio::time::{sleep, timeout};
use tracing::{Instrument as _, info_span, warn};
use uuid::Uuid;

use crate::dms::{FinalReport, JobServer, JobServerError, JobServerErrorKind};
use crate::heartbeat::LeaseState;
use crate::lease::context::LeaseContext;
use crate::millis::millis;
use crate::records::LeaseOutcome;

/// Ceiling of the first wait between attempts.
const FIRST_RETRY_WAIT: Duration = Duration::from_secs(1);
/// Ceiling of all waits between attempts, also of one that the server asks for.
const MAX_RETRY_WAIT: Duration = Duration::from_secs(15);

/// Ceiling of the wait before a server that perhaps knows no such lease is asked once more.
const DOUBT_WAIT: Duration = Duration::from_secs(5);

/// Timeout of one attempt; then it is tried again. The client's own timeout limits a request; an attempt
/// may also wait for a machine token.
const MAX_ATTEMPT: Duration = Duration::from_secs(120);

/// Whether the server has the final report.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Delivery {
    /// The server said so.
    Confirmed,
    /// An attempt with an unknown outcome was made, and after it the server refused the report or said that the
    /// lease is lost.
    Likely,
    /// The server refuses this report, now and later.
    Refused(ReportRefused),
    /// The lease was over before the report was delivered.
    LeaseOver(LeaseState),
}

/// The server refuses a final report for good; the lease may live on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(super) struct ReportRefused {
    /// The server's answer.
    text: String,
    /// Whether it was refused for its size.
    pub(super) too_large: bool,
}

impl From<ReportRefused> for LeaseOutcome {
    /// The outcome when there is nothing else to report.
    fn from(refused: ReportRefused) -> Self {
        Self::Lost { reason: refused.text }
    }
}

/// Delivers the report, or stops trying when `over` says how the lease ended, or when the timeouts of the
/// settings have passed. A `fail` that is refused for its size is sent smaller.
///
/// # Errors
/// When the server refuses this report for good.
pub(super) async fn deliver_in_time(
    context: &LeaseContext,
    task_id: Uuid,
    report: &FinalReport,
    over: impl Future<Output = LeaseState>,
) -> Result<LeaseOutcome, ReportRefused> {
    let timeout = context.settings.delivery_timeout;
    let span = info_span!(target: TARGET, "report", kind = report.word());
    let delivering = deliver_in_some_size(context, task_id, report, over).instrument(span);
    let delivery = tokio::select! {
        biased;
        // First: an answer that is there counts for more than a timeout of the same moment.
        delivery = delivering => delivery,
        () = sleep(timeout) => {
            return Ok(LeaseOutcome::Lost { reason: format!("the final report could not be delivered for {timeout:?}") });
        }
        () = context.release.is_over() => {
            let reason = "the node shut down before the final report was delivered".to_owned();
            return Ok(LeaseOutcome::Lost { reason });
        }
    };
    let confirmed = match delivery {
        Delivery::Confirmed => true,
        Delivery::Likely => {
            warn!(
                "an attempt to deliver the final report was cut off, and then the server took none: most likely it was delivered"
            );
            false
        }
        // An error, since the lease may live on and the caller may have another report to send.
        Delivery::Refused(refused) => return Err(refused),
        Delivery::LeaseOver(state) => return Ok(state.into()),
    };
    Ok(match report {
        FinalReport::Complete(_) => LeaseOutcome::Completed { confirmed },
        FinalReport::Fail { reason, .. } => LeaseOutcome::Failed { reason: reason.clone(), confirmed },
    })
}

/// Delivers the report, or the smaller ones after it for as long as the server finds them too large.
async fn deliver_in_some_size(
    context: &LeaseContext,
    task_id: Uuid,
    report: &FinalReport,
    over: impl Future<Output = LeaseState>,
) -> Delivery {
    // Pinned out here: it goes on over all attempts and must not start again with each.
    let mut over = std::pin::pin!(over);
    let mut smaller = None;
    loop {
        let report = smaller.as_ref().unwrap_or(report);
        let delivery = deliver(context, task_id, report, over.as_mut()).await;
        let Delivery::Refused(refused) = &delivery else { return delivery };
        let next = report.smaller().filter(|_| refused.too_large);
        let Some(next) = next else { return delivery };
        warn!(error = %refused, "the final report is too large for the server; a smaller one is sent");
        smaller = Some(next);
    }
}

/// Tries until the server has the report, until it says that the lease is lost, or until `over` says how
/// the lease ended. An attempt that is under way then is waited for: its answer counts for more.
async fn deliver(
    context: &LeaseContext,
    task_id: Uuid,
    report: &FinalReport,
    mut over: std::pin::Pin<&mut impl Future<Output = LeaseState>>,
) -> Delivery {
    let mut backoff = Backoff::new(FIRST_RETRY_WAIT, MAX_RETRY_WAIT, Jitter::UPPER_HALF);
    let mut may_have_arrived = false;
    let mut doubted = false;
    loop {
        // Before the first attempt too: another report may have been tried for as long as the lease lasted.
        tokio::select! {
            biased;
            state = &mut over => return over_before(state, may_have_arrived),
            () = ready(()) => {}
        }
        let error = match attempt(context.server.as_ref(), task_id, report).await {
            Ok(()) => return Delivery::Confirmed,
            Err(error) => error,
        };
        match error.kind {
            // Asked once more before it is believed: an ingress that is being replaced must not cost the result.
            JobServerErrorKind::PerhapsLost if !doubted => doubted = true,
            // A final report ends its lease: that the server knows no such lease, or wants none of this any more, is
            // what an arrival looks like. A `fail` now would fail a task that is most likely completed.
            JobServerErrorKind::Lost
            | JobServerErrorKind::PerhapsLost
            | JobServerErrorKind::TooLarge
            | JobServerErrorKind::Fatal
                if may_have_arrived =>
            {
                return Delivery::Likely;
            }
            JobServerErrorKind::Lost | JobServerErrorKind::PerhapsLost => {
                return Delivery::LeaseOver(LeaseState::Lost(error.text));
            }
            JobServerErrorKind::TooLarge => {
                return Delivery::Refused(ReportRefused { text: error.text, too_large: true });
            }
            JobServerErrorKind::Fatal => {
                return Delivery::Refused(ReportRefused { text: error.text, too_large: false });
            }
            // Refused before anything was done: it adds no doubt about whether a report has arrived.
            JobServerErrorKind::Unauthorized => {}
            // Once in doubt, always in doubt: a later 503 does not undo an attempt that may have arrived.
            JobServerErrorKind::Retryable { outcome_unknown, .. } => may_have_arrived |= outcome_unknown,
        }
        // Capped: the long waits that a server may ask for would use up the time for delivery.
        let requested = error.retry_after().unwrap_or_default().min(MAX_RETRY_WAIT);
        let mut retry_in = backoff.next_delay().max(requested);
        if error.kind == JobServerErrorKind::PerhapsLost {
            // Long enough for an ingress to be replaced.
            retry_in = retry_in.max(uniform(DOUBT_WAIT / 2, DOUBT_WAIT));
        }
        warn!(%error, retry_in_ms = millis(retry_in), "the final report was not accepted");
        meter::retried(Peer::Dms);
        tokio::select! {
            biased;
            state = &mut over => return over_before(state, may_have_arrived),
            () = sleep(retry_in) => {}
            // A node that stops has no time for the whole wait.
            () = context.release.short_wait_is_over() => {}
        }
    }
}

/// The lease is over, and no attempt was confirmed.
fn over_before(state: LeaseState, may_have_arrived: bool) -> Delivery {
    // An expiry is only reckoned, and a cancellation is no sign of arrival: the server's word counts.
    let likely = may_have_arrived && matches!(state, LeaseState::Lost(_));
    if likely { Delivery::Likely } else { Delivery::LeaseOver(state) }
}

async fn attempt(server: &dyn JobServer, task_id: Uuid, report: &FinalReport) -> Result<(), JobServerError> {
    timeout(MAX_ATTEMPT, server.finish(task_id, report)).await.unwrap_or_else(|_| {
        let verb = report.verb();
        Err(JobServerError::unanswered(format!("{verb} task {task_id}: no answer within {MAX_ATTEMPT:?}")))
    })
}
