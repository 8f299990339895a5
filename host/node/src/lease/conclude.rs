//! What a lease ends with once its runner has ended.

use std::future::Future;

use tokio::time::sleep;
use tracing::{info, warn};
use uuid::Uuid;

use crate::heartbeat::{Condition, Heartbeats};
use crate::lease::context::LeaseContext;
use crate::lease::ending::Ending;
use crate::lease::finish::{Last, Told, tell};
use crate::lease::outcome;
use crate::lease::server::Lease;
use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::ports::Artifact;
use posemesh_runner_api::reports::{Reports, StopReason};

/// What the runner left.
pub struct Conclusion {
    /// The lease that it worked on.
    pub lease: Lease,
    /// How it ended.
    pub result: Result<(), RunFailure>,
    /// What it stored.
    pub artifacts: Vec<Artifact>,
}

/// Sends the last reports, then the result. Heartbeats go on until the server knows it.
pub async fn conclude(
    context: &LeaseContext,
    mut conclusion: Conclusion,
    heartbeats: &Heartbeats,
    reports: &Reports,
) -> Ending {
    tokio::select! {
        () = heartbeats.flush() => {}
        () = hurry(context) => warn!("shutting down: the last progress and events may be missing"),
    }
    match heartbeats.condition() {
        Condition::Held => {}
        condition => {
            if let Err(failure) = &conclusion.result {
                info!(
                    kind = failure.kind.as_str(),
                    reason = failure.reason,
                    "the runner ended with its lease"
                );
            }
            return condition.into();
        }
    }
    // The server is told under the id that its heartbeats went to.
    conclusion.lease.task.id = heartbeats.task_id();
    let task_id = conclusion.lease.task.id;
    let last = last_word(&conclusion, reports.stop_reason());
    let refusal = match tell_in_time(context, task_id, &last, heartbeats.over()).await {
        Ok(ending) => return ending,
        Err(refusal) => refusal,
    };
    if matches!(last, Last::Fail { .. }) {
        return refusal.into();
    }
    // The lease lives but its result was not taken. Given back it can at least be tried again.
    let reason = outcome::bounded(format!("complete was refused: {refusal}"));
    let details = outcome::fail_details(&conclusion.lease, &conclusion.artifacts, None);
    tell_in_time(context, task_id, &Last::Fail { reason, details }, heartbeats.over())
        .await
        .unwrap_or_else(Ending::from)
}

/// A result that is there counts, even if the runner was told to stop for a shutdown meanwhile.
fn last_word(conclusion: &Conclusion, stop: Option<StopReason>) -> Last {
    let Conclusion { lease, result, artifacts } = conclusion;
    match result {
        Ok(()) => Last::Complete(outcome::complete_body(lease, artifacts)),
        Err(failure) => {
            let reason = match stop {
                Some(StopReason::Shutdown) => outcome::NODE_SHUTDOWN.to_owned(),
                _ => outcome::runner_failed(failure),
            };
            Last::Fail { reason, details: outcome::fail_details(lease, artifacts, Some(failure)) }
        }
    }
}

/// The server does not want what it was told, and why; the lease may well live on.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

impl From<Refusal> for Ending {
    fn from(refusal: Refusal) -> Self {
        Self::Lost { why: refusal.0 }
    }
}

/// Tells the server, for no longer than the settings allow.
///
/// # Errors
/// When the server refuses this for good.
pub async fn tell_in_time(
    context: &LeaseContext,
    task_id: Uuid,
    last: &Last,
    over: impl Future<Output = Condition>,
) -> Result<Ending, Refusal> {
    let told = tokio::select! {
        biased;
        told = tell(context.server.as_ref(), task_id, last, over) => told,
        () = sleep(context.settings.finish_patience) => {
            let why = format!("the server could not be told for {:?}", context.settings.finish_patience);
            return Ok(Ending::Lost { why });
        }
        () = hurry(context) => {
            let why = "the node shut down before the server could be told".to_owned();
            return Ok(Ending::Lost { why });
        }
    };
    let confirmed = match told {
        Told::Confirmed => true,
        Told::Likely => {
            warn!(
                "an attempt to tell the server was cut off, and then it knew of no lease: most likely it was told"
            );
            false
        }
        Told::Refused(why) => return Err(Refusal(why)),
        Told::Gone(condition) => return Ok(condition.into()),
    };
    Ok(match last {
        Last::Complete(_) => Ending::Completed { confirmed },
        Last::Fail { reason, .. } => Ending::Failed { reason: reason.clone(), confirmed },
    })
}

/// Ends when the node has been giving work back for as long as it may take.
async fn hurry(context: &LeaseContext) {
    context.give_back.cancelled().await;
    sleep(context.settings.give_back_patience).await;
}
