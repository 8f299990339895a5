//! One run of a runner: in a task of its own, so that neither a panic nor a runner that will not end
//! reaches the lease.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinError;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, error, warn};

use posemesh_runner_api::failure::{FailureKind, RunFailure};
use posemesh_runner_api::reports::{Reports, StopReason};
use posemesh_runner_api::runner::{Runner, RunnerCall};

/// How long a dropped runner may take to be gone.
const DROP_PATIENCE: Duration = Duration::from_secs(1);

/// How a run ended.
#[derive(Debug)]
pub struct RunEnd {
    /// What the runner said, or what is to be said in its place.
    pub result: Result<(), RunFailure>,
    /// Whether it did not let go of its thread when it was dropped.
    pub stuck: bool,
}

impl RunEnd {
    /// A run that the runner's host has ended.
    fn of(result: Result<(), RunFailure>) -> Self {
        let stuck = matches!(&result, Err(failure) if failure.kind == FailureKind::Stuck);
        Self { result, stuck }
    }
}

/// Runs a runner to its end. Once it is told to stop, by the lease or because `give_back` fires, it
/// has `stop_grace` to end; then it is dropped.
pub async fn run(
    runner: Arc<dyn Runner>,
    call: RunnerCall,
    stop_grace: Duration,
    give_back: &CancellationToken,
) -> RunEnd {
    let reports = call.reports.clone();
    let mut task =
        AbortOnDropHandle::new(tokio::spawn(async move { runner.run(call).await }.in_current_span()));
    tokio::select! {
        biased;
        joined = &mut task => return RunEnd::of(said(joined)),
        () = stopped(&reports, give_back) => {}
    }
    if let Ok(joined) = timeout(stop_grace, &mut task).await {
        return RunEnd::of(said(joined));
    }
    warn!(?stop_grace, "the runner was told to stop and did not; it is dropped");
    task.abort();
    match timeout(DROP_PATIENCE, &mut task).await {
        // It may have made it after all.
        Ok(Ok(result)) => RunEnd::of(result),
        Ok(Err(_)) => RunEnd { result: Err(dropped(stop_grace)), stuck: false },
        Err(_) => {
            error!("the dropped runner does not let go of its thread; the node should be restarted");
            RunEnd { result: Err(dropped(stop_grace)), stuck: true }
        }
    }
}

async fn stopped(reports: &Reports, give_back: &CancellationToken) {
    tokio::select! {
        () = reports.stop_token().cancelled() => {}
        () = give_back.cancelled() => reports.stop(StopReason::Shutdown),
    }
}

fn said(joined: Result<Result<(), RunFailure>, JoinError>) -> Result<(), RunFailure> {
    joined.unwrap_or_else(|error| {
        let reason = match error.try_into_panic() {
            Ok(panic) => format!("the node's runner host panicked: {}", panic_text(&*panic)),
            Err(error) => format!("the run was torn down: {error}"),
        };
        Err(RunFailure { kind: FailureKind::Host, reason, details: Value::Null })
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

fn dropped(stop_grace: Duration) -> RunFailure {
    let reason = format!("told to stop, it did not end within {stop_grace:?} and was dropped");
    RunFailure { kind: FailureKind::Cancelled, reason, details: Value::Null }
}
