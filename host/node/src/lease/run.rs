//! One run of a runner, in a task of its own: neither a panic nor a runner that does not end reaches the
//! lease.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use posemesh_runner_api::failure::{FailureKind, RunFailure};
use posemesh_runner_api::reports::{Reports, StopReason};
use posemesh_runner_api::runner::{Runner, RunnerCall};
use tokio::task::JoinError;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, error, warn};

use crate::lease::release::ReleaseOrder;
use crate::millis::millis;

/// How long an aborted run may take to end.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// How a run ended.
pub(super) struct RunEnd {
    /// The runner's result, or the failure that is reported in its place.
    pub(super) result: Result<(), RunFailure>,
    /// Whether the runner could not be ended.
    pub(super) stuck: bool,
    /// Of a run that did not end when it was aborted: ends when its thread is free again.
    pub(super) aborted: Option<BoxFuture<'static, ()>>,
}

impl RunEnd {
    /// A run that the runner's host has ended, or reported as stuck.
    fn of(result: Result<(), RunFailure>) -> Self {
        let stuck = matches!(&result, Err(failure) if failure.kind == FailureKind::Stuck);
        Self { result, stuck, aborted: None }
    }
}

/// Runs a runner to its end. Once the runner is asked to stop, by its reports or because `release` is given,
/// it has `stop_grace` to end; then the run is aborted.
pub(super) async fn run(
    runner: Arc<dyn Runner>,
    call: RunnerCall,
    stop_grace: Duration,
    release: &ReleaseOrder,
) -> RunEnd {
    let reports = call.reports.clone();
    // A plain join handle would let the run go on when its session is dropped.
    let mut task =
        AbortOnDropHandle::new(tokio::spawn(async move { runner.run(call).await }.in_current_span()));
    tokio::select! {
        // A result that is there counts for more than a request to stop of the same moment.
        biased;
        joined = &mut task => return RunEnd::of(result_of(joined)),
        () = stopped(&reports, release) => {}
    }
    // Less when the node stops: the report needs time too.
    let stop_grace = release.share(stop_grace);
    // By reference: a run that does not end in time must still be there to be aborted and watched.
    if let Ok(joined) = timeout(stop_grace, &mut task).await {
        return RunEnd::of(result_of(joined));
    }
    let stop_grace_ms = millis(stop_grace);
    warn!(stop_grace_ms, "the runner did not end in time after it was asked to stop; its run is aborted");
    // This takes effect where the run yields next: code that never yields keeps its thread.
    task.abort();
    match timeout(ABORT_TIMEOUT, &mut task).await {
        // It ended after all.
        Ok(Ok(result)) => RunEnd::of(result),
        // Aborted or panicked on its way out: either way it had not ended when it should have.
        Ok(Err(_)) => RunEnd::of(Err(aborted(stop_grace))),
        Err(_) => {
            error!("the aborted run still holds its thread; the node is not ready until the thread is free");
            // Handed on instead of waited for: the lease ends now, the node is ready when the thread is free.
            RunEnd { result: Err(aborted(stop_grace)), stuck: true, aborted: Some(task.map(drop).boxed()) }
        }
    }
}

async fn stopped(reports: &Reports, release: &ReleaseOrder) {
    tokio::select! {
        () = reports.stop_token().cancelled() => {}
        () = release.given() => reports.stop(StopReason::Shutdown),
    }
}

fn result_of(joined: Result<Result<(), RunFailure>, JoinError>) -> Result<(), RunFailure> {
    joined.unwrap_or_else(|error| {
        // The host is to blame: what a guest does, traps included, comes back as a result and not as a panic.
        Err(RunFailure::host(match error.try_into_panic() {
            Ok(panic) => format!("the node's runner host panicked: {}", panic_text(&*panic)),
            Err(error) => format!("the run was torn down: {error}"),
        }))
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    // A message that is a literal arrives as `&str`, one that was formatted as `String`.
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

fn aborted(stop_grace: Duration) -> RunFailure {
    let reason = format!("asked to stop, it did not end within {stop_grace:?} and was aborted");
    RunFailure::new(FailureKind::Cancelled, reason)
}
