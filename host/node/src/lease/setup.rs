//! From a granted lease to everything that its run needs (protocol 5, steps 1 to 4).

use std::sync::Arc;

use posemesh_domain_client::DomainPorts;
use posemesh_runner_api::runner::Runner;
use posemesh_text::one_line;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::admission::Promise;
use crate::dms::{HeartbeatAnswer, JobServerErrorKind, Lease, SetupStage};
use crate::heartbeat::{HeartbeatResult, HeartbeatSender, LeaseState};
use crate::lease::context::LeaseContext;
use crate::millis::millis;
use crate::workdir::TaskDir;

/// How much of a capability that nobody serves is reported, in bytes.
const MAX_CAPABILITY: usize = 300;

/// Everything that a run needs beside the lease.
pub(super) struct RunSetup {
    pub(super) runner: Arc<dyn Runner>,
    pub(super) ports: DomainPorts,
    pub(super) dir: TaskDir,
}

/// Why a lease does not get to its runner.
pub(super) enum SetupError {
    /// The task can't be started on this node.
    Failed {
        stage: SetupStage,
        /// What failed, for `details.error` (protocol 3.6).
        error: String,
    },
    /// The node shuts down.
    Shutdown,
    /// The lease is over; never [`LeaseState::Active`].
    LeaseOver(LeaseState),
}

/// Picks the runner, sends the initial heartbeat, merges its answer into the lease, and opens the task's
/// ports. Nothing is left behind when it fails.
pub(super) async fn set_up(
    context: &LeaseContext,
    lease: &mut Lease,
    sender: &mut HeartbeatSender,
    superseded: &CancellationToken,
    promise: &Promise,
) -> Result<RunSetup, SetupError> {
    // Before anything else: a task that was cancelled before its lease gets no call at all (protocol 5, step 1).
    if lease.cancel {
        return Err(SetupError::LeaseOver(LeaseState::Cancelled));
    }
    // Before the first heartbeat, which would make a task `running` that can't be run here (protocol 3.7).
    let mut runner = pick(context, &lease.task.capability)?;
    let capability = lease.task.capability.clone();
    initial_heartbeat(context, sender, superseded).await?.merge_into(lease);
    // Otherwise the first pick stays: another one might yield another generation, or none any more.
    if lease.task.capability != capability {
        runner = pick(context, &lease.task.capability)?;
    }
    promise.settle(runner.needs());
    // Not before the answer: it may cancel the task, and then there is nothing to clean up.
    let dir = context.work_dirs.task_dir();
    promise.uses(dir.disk());
    let stop = sender.reports().stop_token().clone();
    match context.ports.open(lease, sender.token().clone(), stop, dir.disk().clone()) {
        Ok(ports) => Ok(RunSetup { runner, ports, dir }),
        Err(error) => {
            // Waited for instead of left to `drop`, so that the directory is gone before the failure is reported.
            dir.remove().await;
            Err(SetupError::Failed { stage: SetupStage::BuildPorts, error: error.to_owned() })
        }
    }
}

fn pick(context: &LeaseContext, capability: &str) -> Result<Arc<dyn Runner>, SetupError> {
    context.runners.pick(capability).ok_or_else(|| {
        // Capabilities are compared byte for byte: beside the live ones a misspelt one is seen at once.
        let live: Vec<String> = context.runners.capabilities().borrow().iter().cloned().collect();
        SetupError::Failed {
            stage: SetupStage::StartSession,
            // The server names what it likes, in as many bytes as a lease has.
            error: format!(
                "no live runner for capability {}; live are: {}",
                one_line(capability, MAX_CAPABILITY),
                live.join(", ")
            ),
        }
    })
}

/// Tries until it is answered, or until three quarters of the lease have passed: the rest is needed to
/// report that it failed (protocol 3.4).
async fn initial_heartbeat(
    context: &LeaseContext,
    sender: &mut HeartbeatSender,
    superseded: &CancellationToken,
) -> Result<HeartbeatAnswer, SetupError> {
    let clock = sender.clock();
    // Set once: failed attempts do not move it, since only an answer extends the lease.
    let last_attempt = clock.deadline() - (clock.deadline() - clock.granted()) / 4;
    loop {
        let (retry_in, error) = match unless_over(context, superseded, sender.send()).await? {
            HeartbeatResult::Extended(answer) => return Ok(*answer),
            HeartbeatResult::Cancelled => return Err(SetupError::LeaseOver(LeaseState::Cancelled)),
            HeartbeatResult::Lost(reason) => return Err(SetupError::LeaseOver(LeaseState::Lost(reason))),
            HeartbeatResult::Failed { retry_in, error } => (retry_in, error),
        };
        // Judged by when the next attempt would start: waiting for one too late would eat the time to report.
        if error.kind == JobServerErrorKind::Fatal || Instant::now() + retry_in >= last_attempt {
            return Err(SetupError::Failed { stage: SetupStage::InitialHeartbeat, error: error.text });
        }
        warn!(%error, retry_in_ms = millis(retry_in), "the initial heartbeat failed");
        unless_over(context, superseded, sleep(retry_in)).await?;
    }
}

/// The step's result, unless the lease is superseded or to be released before.
async fn unless_over<T>(
    context: &LeaseContext,
    superseded: &CancellationToken,
    step: impl Future<Output = T>,
) -> Result<T, SetupError> {
    tokio::select! {
        biased;
        // Before the release: that one reports `node_shutdown`, and here nothing may be reported any more.
        () = superseded.cancelled() => Err(SetupError::LeaseOver(LeaseState::superseded())),
        () = context.release.given() => Err(SetupError::Shutdown),
        result = step => Ok(result),
    }
}
