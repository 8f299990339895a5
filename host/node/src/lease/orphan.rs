//! Leases that a dead process of this node held (protocol 5.3).

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use crate::dms::FinalReport;
use crate::heartbeat::{DEFAULT_TTL, LeaseState};
use crate::journal::OrphanedLease;
use crate::lease::context::LeaseContext;
use crate::lease::delivery::deliver_in_time;
use crate::records::LeaseOutcome;

/// How many are given back at the same time.
const AT_ONCE: usize = 4;
/// The time from one to the next: a job server that has just come back is not met by hundreds of requests.
const SPACING: Duration = Duration::from_millis(25);

/// Gives the leases back by failing them, so that their tasks need not wait until the leases expire. Few at a time.
pub(crate) async fn give_back(context: &LeaseContext, orphans: Vec<OrphanedLease>) {
    // The real expiry is not known; most leases last no longer than this. The same moment for all, however long those
    // before them take.
    let expires_at = Instant::now() + DEFAULT_TTL;
    let spaced = stream::iter(orphans).then(|orphan| async move {
        sleep(SPACING).await;
        orphan
    });
    spaced.for_each_concurrent(AT_ONCE, |orphan| give_one_back(context, orphan, expires_at)).await;
}

async fn give_one_back(context: &LeaseContext, orphan: OrphanedLease, expires_at: Instant) {
    let OrphanedLease { task_id } = orphan;
    let report = FinalReport::node_crashed();
    let expiry = async {
        sleep_until(expires_at).await;
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
