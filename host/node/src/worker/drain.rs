//! The end of the worker: what is running may finish, what does not is released (protocol 5.3).

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::dms::LeaseAnswer;
use crate::shutdown::Shutdown;
use crate::worker::active::ActiveLeases;
use crate::worker::poll::{Poll, PollResult};
use crate::worker::settings::WorkerSettings;

/// How long a request for work may hold up the end of an idle node. Dropped, the request might leave a
/// lease behind that nobody knows of, but a server that hangs must not keep the node. While leases are
/// worked on, waiting longer costs nothing.
const POLL_TIMEOUT: Duration = Duration::from_secs(5);

/// For what is left once every timeout of a lease has passed.
const SLACK: Duration = Duration::from_secs(5);

/// Ends the leases that are worked on: within the grace time by themselves, after it by releasing them,
/// and at once when the node is killed.
pub(super) async fn drain(
    active: &mut ActiveLeases,
    poll: &mut Poll,
    settings: &WorkerSettings,
    shutdown: &Shutdown,
) {
    let (grace, lease) = (settings.shutdown_grace, settings.lease);
    info!(running = active.len(), ?grace, "no more leases are taken");
    let began = Instant::now();
    let poll_end = began + POLL_TIMEOUT;
    // The last moment whatever happens: after the grace time runners get time to stop, then the last
    // reports and the final report each get theirs.
    // A grace time below `POLL_TIMEOUT` is raised to it: a late answer may bring a lease that must be released.
    let end = began + grace.max(POLL_TIMEOUT) + lease.stop_grace + 2 * lease.release_timeout + SLACK;
    while !active.is_empty() || poll.is_under_way() {
        tokio::select! {
            biased;
            // First: a second signal ends the node in any state, whatever else is ready.
            () = shutdown.killed().cancelled() => break,
            // How it ended is in the records already, and no further poll depends on it.
            Some(_) = active.next_end() => {}
            result = poll.answer() => release(active, result),
            // The condition makes it happen once: a moment that has passed would be ready in every round.
            () = sleep_until(began + grace), if !active.are_released() => {
                warn!(running = active.len(), "the grace time is over; running leases are released");
                active.release_all();
            }
            () = sleep_until(poll_end), if poll.is_under_way() && active.is_empty() => {
                warn!("a request for work was not answered in time; it may have left a lease behind");
                poll.abort();
            }
            () = sleep_until(end) => break,
        }
    }
    if !active.is_empty() {
        warn!(running = active.len(), "the leases that are left are dropped; they expire by themselves");
        active.abort().await;
    }
}

/// A request that was sent before the shutdown was answered: a lease that it brought can't be started.
fn release(active: &mut ActiveLeases, result: PollResult) {
    match result.answer {
        Ok(LeaseAnswer::Lease(lease)) => active.release(*lease, result.sent),
        Ok(LeaseAnswer::Unreadable { task_id: Some(task_id), error }) => {
            active.fail_unreadable(task_id, error);
        }
        // No lease, or one whose task is not known: there is nothing that could be given back.
        Ok(_) | Err(_) => {}
    }
}
