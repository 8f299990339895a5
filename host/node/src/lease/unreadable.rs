//! Leases of which no more than the task's id can be read (protocol 3.3).

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::dms::{FinalReport, SetupStage};
use crate::heartbeat::{DEFAULT_TTL, LeaseState};
use crate::lease::context::LeaseContext;
use crate::lease::delivery::deliver_in_time;
use crate::records::LeaseOutcome;

/// Fails the task, so that the server need not wait for the lease to expire; `error` is what is wrong with
/// the lease.
///
/// `superseded` fires when the server has leased the task once more: its report would hit the later lease then.
pub(crate) async fn fail_unreadable(
    context: &LeaseContext,
    task_id: Uuid,
    error: &str,
    superseded: &CancellationToken,
) -> LeaseOutcome {
    let error = format!("the lease can't be read: {error}");
    let report = FinalReport::setup_failed(SetupStage::StartSession, &error);
    // The real expiry is in what can't be read, and no heartbeat extends a lease that is not worked on. Reckoned here:
    // the future is not polled before the first attempt has failed.
    let end = Instant::now() + DEFAULT_TTL;
    context.journal.begin(task_id).await;
    let expiry = async {
        tokio::select! {
            biased;
            () = superseded.cancelled() => LeaseState::superseded(),
            () = sleep_until(end) => LeaseState::Expired("it could not be released in time".to_owned()),
        }
    };
    let delivered = deliver_in_time(context, task_id, &report, expiry).await;
    let outcome = delivered.unwrap_or_else(LeaseOutcome::from);
    warn!(%task_id, "unreadable lease {outcome}");
    // As a session does: left for the next start if there was no time, and to a later lease of the task.
    let left = context.release.is_given() && matches!(outcome, LeaseOutcome::Lost { .. });
    if !left && !superseded.is_cancelled() {
        context.journal.end(task_id);
    }
    outcome
}
