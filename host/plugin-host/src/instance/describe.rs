//! The call of `describe`: under tight limits, with nothing to read and nowhere to write.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::ports::{
    Artifact, ArtifactSpec, ArtifactWriter, InputPort, OutputPort, PartStream, PortError,
};
use posemesh_runner_api::reports::{ReportLimits, Reports};
use posemesh_runner_api::runner::RunnerCall;
use posemesh_runner_api::task::Task;
use uuid::Uuid;
use wasmtime_wasi::WasiCtxBuilder;

use crate::instance::call::{CallEnd, call};
use crate::instance::failure::{limit_in_describe, own_words, why_not_described};
use crate::instance::guest_threads::GuestThreads;
use crate::instance::linked::{LinkedRunner, RunnerInstance};
use crate::instance::log_stream::LogStream;
use crate::instance::outbound::Outbound;
use crate::instance::prepare::{new_state, within_bounds};
use crate::instance::runner_log::RunnerLog;
use crate::instance::trouble::RunTrouble;
use crate::instance::wit;
use crate::manifest::description::RawDescription;
use crate::manifest::limits::Limits;

/// The longest account of the runner's own error, in bytes.
const MAX_WORDS: usize = 2000;

/// Why a runner did not describe itself.
#[derive(Debug)]
pub(crate) enum DescribeError {
    /// How the call ended, in words, with the last line that the runner printed.
    Runner(String),
    /// What this machine lacked.
    Host(String),
}

/// Calls `describe` under these limits; `path` names the component in logs, `instance_bytes` is what its instance costs the
/// host.
///
/// # Errors
/// How the call ended.
pub(crate) async fn describe(
    pre: LinkedRunner,
    path: &Path,
    threads: &GuestThreads,
    limits: &Limits,
    instance_bytes: u64,
) -> Result<RawDescription, DescribeError> {
    let log = RunnerLog::new(limits.log_bytes, tracing::debug_span!("describe", path = %path.display()));
    let stderr = LogStream::new(&log, "stderr");
    let mut wasi = WasiCtxBuilder::new();
    // Both in one stream: an error shows the last line, whichever of the two it was printed to.
    wasi.stdout(stderr.clone()).stderr(stderr.clone());
    within_bounds(&mut wasi);
    // The world is the same as in a run, so the ports must be there; each refuses whatever is asked.
    let no_task = RunnerCall {
        task: Task::new(Uuid::nil(), ""),
        inputs: Arc::new(NoPorts),
        outputs: Arc::new(NoPorts),
        reports: Reports::new(ReportLimits::default()),
        disk: TaskDisk::new(""),
        log_file: None,
    };
    let outbound = Box::new(Outbound::closed(limits, log.clone()));
    let trouble = RunTrouble::default();
    let state =
        new_state(wasi.build(), limits, instance_bytes, outbound, no_task, None, log.clone(), trouble);
    let called =
        call(pre, state, threads, async |runner: &RunnerInstance, store| runner.describe(store).await).await;
    stderr.finish();
    let mut cause = match called.result {
        Ok(raw) => return Ok(wit::raw_description(raw)),
        Err(CallEnd::Deadline) => {
            format!("it took more than {} ms (DESCRIBE_TIMEOUT_SECS)", limits.deadline_ms)
        }
        Err(CallEnd::Error(error)) => why_not_described(&error, called.usage.refused.as_ref(), limits),
        Err(CallEnd::Limit(limit)) => limit_in_describe(&limit),
        Err(CallEnd::Stopped) => "it was stopped".to_owned(),
        Err(CallEnd::Stuck) => "it can't be ended".to_owned(),
        Err(CallEnd::Host(what)) => return Err(DescribeError::Host(what)),
    };
    // They say more to the runner's author than the trap.
    let (tail, _) = log.tail();
    match own_words(&tail, MAX_WORDS) {
        Some(words) => cause = format!("it {words} ({cause})"),
        None => tail.last().into_iter().for_each(|last| cause.push_str(&format!("; its last words: {last}"))),
    }
    Err(DescribeError::Runner(cause))
}

/// Ports that have and take nothing.
struct NoPorts;

#[async_trait]
impl InputPort for NoPorts {
    async fn open(&self, _: &str) -> Result<Box<dyn PartStream>, PortError> {
        Err(PortError::cancelled())
    }
}

#[async_trait]
impl OutputPort for NoPorts {
    async fn create(&self, _: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        Err(PortError::cancelled())
    }

    fn finished(&self) -> Vec<Artifact> {
        Vec::new()
    }
}
