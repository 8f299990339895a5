//! Leases that a dead process of this node held (protocol 5.3).

use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::dms::FinalReport;
use crate::heartbeat::{DEFAULT_TTL, LeaseState};
use crate::journal::OrphanedLease;
use crate::lease::context::LeaseContext;
use crate::lease::delivery::deliver_in_time;
use crate::records::LeaseOutcome;

/// Gives the lease back by failing it, so that the task need not wait until the lease expires.
pub(crate) async fn give_back(context: &LeaseContext, orphan: OrphanedLease) {
    let OrphanedLease { task_id } = orphan;
    let report = FinalReport::node_crashed();
    // The real expiry is not known; most leases last no longer than this. Reckoned here: the future is not polled before
    // the first attempt has failed.
    let end = Instant::now() + DEFAULT_TTL;
    let expiry = async {
        sleep_until(end).await;
        LeaseState::Expired("it could not be given back in time".to_owned())
    };
    let delivered = deliver_in_time(context, task_id, &report, expiry).await;
    match delivered.unwrap_or_else(LeaseOutcome::from) {
        // Left in the journal: the next start tries again.
        LeaseOutcome::Lost { reason } if context.release.is_given() => {
            warn!(%task_id, "the lease that the last process held could not be given back in time: {reason}");
            return;
        }
        LeaseOutcome::Lost { reason } => {
            warn!(%task_id, "the lease that the last process held is over already: {reason}");
        }
        outcome => info!(%task_id, "the lease that the last process held is given back: {outcome}"),
    }
    context.journal.end(task_id);
}
