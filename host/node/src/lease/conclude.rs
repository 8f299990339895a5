//! How a lease ends once its runner has ended (protocol 5, steps 6 and 7).

use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::ports::Artifact;
use posemesh_runner_api::reports::StopReason;
use posemesh_runner_api::task::Task;
use tracing::{info, warn};

use crate::dms::FinalReport;
use crate::heartbeat::{Heartbeats, LeaseState};
use crate::lease::context::LeaseContext;
use crate::lease::delivery::deliver_in_time;
use crate::records::LeaseOutcome;

/// A run that has ended.
pub(super) struct FinishedRun {
    /// The task that the runner worked on.
    pub(super) task: Task,
    /// How the runner ended.
    pub(super) result: Result<(), RunFailure>,
    /// What the runner stored.
    pub(super) artifacts: Vec<Artifact>,
}

/// Sends the last reports, then the final report; `stop` is why the runner was asked to stop, if it was.
/// Heartbeats go on until the server has answered.
pub(super) async fn conclude(
    context: &LeaseContext,
    mut run: FinishedRun,
    heartbeats: &Heartbeats,
    stop: Option<StopReason>,
) -> LeaseOutcome {
    // Reports go out first: the final report ends the lease, and after it the server takes no heartbeat.
    tokio::select! {
        () = heartbeats.flush() => {}
        () = context.release.share_is_over() => warn!("shutting down: the last progress and events may be missing"),
    }
    // Asked after the flush, which may be what found out that the lease is over.
    match heartbeats.state() {
        LeaseState::Active => {}
        state => {
            if let Err(failure) = &run.result {
                info!(
                    kind = failure.kind.as_str(),
                    blame = failure.blame.as_str(),
                    reason = failure.reason,
                    "the runner ended with its lease"
                );
            }
            // No final report: the server would refuse it, or take it for one of a later lease of this task.
            return state.into();
        }
    }
    // The report goes to the id that the heartbeats went to.
    run.task.id = heartbeats.task_id();
    let report = final_report(&run, stop);
    let refused = match deliver_in_time(context, run.task.id, &report, heartbeats.over()).await {
        Ok(outcome) => return outcome,
        Err(refused) => refused,
    };
    // There is nothing weaker than `fail` to fall back on; a smaller one was tried if the size was to blame.
    if matches!(report, FinalReport::Fail { .. }) {
        return refused.into();
    }
    // The lease lives but its result was not accepted. Failed, the task can at least be tried again.
    let refusal = refused.to_string();
    let report = if refused.too_large {
        FinalReport::complete_too_large(&run.task, &run.artifacts, &refusal)
    } else {
        FinalReport::complete_refused(&run.task, &run.artifacts, &refusal)
    };
    let delivered = deliver_in_time(context, run.task.id, &report, heartbeats.over()).await;
    delivered.unwrap_or_else(LeaseOutcome::from)
}

/// A result counts even if the runner was asked to stop for a shutdown meanwhile.
fn final_report(run: &FinishedRun, stop: Option<StopReason>) -> FinalReport {
    let FinishedRun { task, result, artifacts } = run;
    match result {
        Ok(()) => FinalReport::completed(task, artifacts),
        // By why the runner was asked to stop, not by whether the node is stopping: a failure of its own stays one.
        Err(failure) if stop == Some(StopReason::Shutdown) => {
            FinalReport::node_shutdown(task, artifacts, Some(failure))
        }
        Err(failure) => FinalReport::runner_failed(task, artifacts, failure),
    }
}
