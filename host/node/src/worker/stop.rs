//! The end of the worker: what is running may finish, what does not is given back, all within the grace time
//! (protocol 5.3).

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::dms::LeaseAnswer;
use crate::millis::millis;
use crate::shutdown::Shutdown;
use crate::worker::active::ActiveLeases;
use crate::worker::polls::{PollAnswer, PollResult, Polls};
use crate::worker::settings::WorkerSettings;

/// How long a request for work may hold up the end of an idle node. Dropped, the request might leave a
/// lease behind that nobody knows of, but a server that hangs must not keep the node. While leases are
/// worked on, waiting longer costs nothing.
const POLL_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest time that is kept back for giving leases back: to stop the runners, to send the last reports and `fail`.
const LONGEST_RELEASE: Duration = Duration::from_secs(10);
/// The shortest time for that; a shorter grace time is raised to it.
const SHORTEST_RELEASE: Duration = Duration::from_secs(2);
/// What is kept back of the grace time for the end of everything else.
const TAIL: Duration = Duration::from_millis(500);

/// When leases are given back, and when all of them must have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StopPlan {
    release: Instant,
    end: Instant,
}

impl StopPlan {
    /// For a request at `stopped`: leases are given back when two fifths of the grace time are left, or ten seconds.
    pub(super) fn new(stopped: Instant, grace: Duration) -> Self {
        let end = stopped + grace.max(SHORTEST_RELEASE);
        let kept_back = (grace * 2 / 5).clamp(SHORTEST_RELEASE, LONGEST_RELEASE);
        Self { release: end - kept_back, end: end - TAIL }
    }
}

/// Ends the leases that are worked on: by themselves as long as there is time, then by giving them back,
/// and at once when the node is killed.
pub(super) async fn stop(
    active: &mut ActiveLeases,
    polls: &mut Polls,
    settings: &WorkerSettings,
    shutdown: &Shutdown,
) {
    let began = Instant::now();
    let stopped = shutdown.stopped_at().unwrap_or(began);
    let plan = StopPlan::new(stopped, settings.shutdown_grace);
    info!(
        running = active.len(),
        grace_ms = millis(settings.shutdown_grace),
        "stopping: no more leases are taken"
    );
    let poll_end = (began + POLL_TIMEOUT).min(plan.end);
    while !active.is_empty() || !polls.is_empty() {
        tokio::select! {
            biased;
            // First: a second signal ends the node in any state, whatever else is ready.
            () = shutdown.killed().cancelled() => break,
            // How it ended is in the records already, and no further poll depends on it.
            Some(_) = active.next_end() => {}
            result = polls.answer() => release(active, result),
            // The condition makes it happen once: a moment that has passed would be ready in every round.
            () = sleep_until(plan.release), if !active.are_released() => {
                if !active.is_empty() {
                    warn!(running = active.len(), "running leases are given back");
                }
                active.release_all(plan.end);
            }
            () = sleep_until(poll_end), if !polls.is_empty() && active.is_empty() => {
                warn!("a request for work was not answered in time; it may have left a lease behind");
                polls.abort();
            }
            () = sleep_until(plan.end) => break,
        }
    }
    if !active.is_empty() {
        warn!(running = active.len(), "the leases that are left are dropped; the next start gives them back");
        active.abort().await;
    }
}

/// A request that was sent before the stop was answered: a lease that it brought can't be started.
fn release(active: &mut ActiveLeases, result: PollResult) {
    let PollResult::Answered(PollAnswer { sent, answer, .. }) = result else { return };
    match answer {
        Ok(LeaseAnswer::Lease(lease)) => active.release(*lease, sent),
        Ok(LeaseAnswer::Unreadable { task_id: Some(task_id), error }) => {
            active.fail_unreadable(task_id, error);
        }
        // No lease, or one whose task is not known: there is nothing that could be given back.
        Ok(_) | Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn giving_back_begins_early_enough_to_be_heard_within_the_grace_time() {
        let now = Instant::now();
        for (grace, release, end) in
            [(25.0, 15.0, 24.5), (8.0, 4.8, 7.5), (600.0, 590.0, 599.5), (2.0, 0.0, 1.5), (0.0, 0.0, 1.5)]
        {
            let at = |seconds: f64| now + Duration::from_secs_f64(seconds);
            let plan = StopPlan::new(now, Duration::from_secs_f64(grace));
            assert_eq!(plan, StopPlan { release: at(release), end: at(end) }, "a grace of {grace} s");
        }
    }
}
