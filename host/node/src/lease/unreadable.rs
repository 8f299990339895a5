//! Leases of which no more than the task's id can be read (protocol 3.3).

use tokio::time::sleep;
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
    // The real expiry is in what can't be read, and no heartbeat extends a lease that is not worked on.
    let expiry = async {
        tokio::select! {
            biased;
            () = superseded.cancelled() => LeaseState::superseded(),
            () = sleep(DEFAULT_TTL) => LeaseState::Expired("it could not be released in time".to_owned()),
        }
    };
    let delivered = deliver_in_time(context, task_id, &report, expiry).await;
    let outcome = delivered.unwrap_or_else(LeaseOutcome::from);
    warn!(%task_id, "unreadable lease {outcome}");
    outcome
}
