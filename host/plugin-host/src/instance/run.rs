//! The call of `run`: one task from its folders to its end.

use std::sync::Arc;

use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::runner::RunnerCall;
use wasmtime_wasi_http::WasiHttpHooks;

use crate::folders::OpenFolder;
use crate::instance::call::call;
use crate::instance::failure::FailureContext;
use crate::instance::guest_threads::GuestThreads;
use crate::instance::linked::{LinkedRunner, RunnerInstance};
use crate::instance::log_stream::LogStream;
use crate::instance::outbound::Outbound;
use crate::instance::prepare::{new_state, wasi_of_run};
use crate::instance::runner_log::RunnerLog;
use crate::instance::runner_log::file::LogFile;
use crate::instance::scratch::folders::SandboxDirs;
use crate::instance::trouble::RunTrouble;
use crate::instance::wit;
use crate::manifest::limits::Limits;
use crate::manifest::policy::Grant;

/// What a generation brings to each of its runs in the node's own process.
pub(crate) struct GenerationSetup<'a> {
    /// The runner's label, for logs and failures.
    pub(crate) label: &'a str,
    pub(crate) grant: &'a Grant,
    /// Granted variables with their values.
    pub(crate) environment: &'a [(String, String)],
    pub(crate) threads: &'a GuestThreads,
    /// The granted folders, open.
    pub(crate) folders: Vec<OpenFolder>,
    /// What an instance costs the host, in bytes.
    pub(crate) instance_bytes: u64,
}

/// What a run gets, whichever process it is in.
pub(crate) struct InstanceSetup<'a> {
    pub(crate) label: &'a str,
    pub(crate) limits: &'a Limits,
    /// The granted folders, open.
    pub(crate) folders: Arc<[OpenFolder]>,
    pub(crate) environment: &'a [(String, String)],
    pub(crate) threads: &'a GuestThreads,
    pub(crate) log: RunnerLog,
    pub(crate) outbound: Box<dyn WasiHttpHooks>,
    pub(crate) trouble: RunTrouble,
    /// What an instance costs the host, in bytes.
    pub(crate) instance_bytes: u64,
}

/// Runs one task in this process, to its end.
pub(crate) async fn run(
    pre: LinkedRunner,
    setup: GenerationSetup<'_>,
    task_call: RunnerCall,
) -> Result<(), RunFailure> {
    let GenerationSetup { label, grant, environment, threads, folders, instance_bytes } = setup;
    let trouble = RunTrouble::default();
    let log = log_of(label, &grant.limits, &task_call, &trouble);
    let setup = InstanceSetup {
        label,
        limits: &grant.limits,
        folders: folders.into(),
        environment,
        threads,
        outbound: Box::new(Outbound::new(grant, log.clone())),
        log,
        trouble,
        instance_bytes,
    };
    run_with(pre, setup, task_call).await
}

/// The log of a task, kept in its file from the first line on.
pub(crate) fn log_of(label: &str, limits: &Limits, call: &RunnerCall, trouble: &RunTrouble) -> RunnerLog {
    let span = tracing::info_span!("runner", runner = %label, task_id = %call.task.id);
    let log = RunnerLog::new(limits.log_bytes, span);
    if let Some(path) = call.log_file.clone() {
        log.keep_in(LogFile::new(path, trouble.clone()));
    }
    log
}

/// Runs one task to its end.
pub(crate) async fn run_with(
    pre: LinkedRunner,
    setup: InstanceSetup<'_>,
    task_call: RunnerCall,
) -> Result<(), RunFailure> {
    let InstanceSetup {
        label,
        limits,
        folders,
        environment,
        threads,
        log,
        outbound,
        trouble,
        instance_bytes,
    } = setup;
    let (stdout, stderr) = (LogStream::new(&log, "stdout"), LogStream::new(&log, "stderr"));
    let wasi = wasi_of_run(environment, [&stdout, &stderr]);
    // Converted here because `new_state` takes the whole call.
    let task = wit::task(&task_call.task);
    let (kept, noting) = (log.clone(), trouble.clone());
    let state = new_state(wasi, limits, instance_bytes, outbound, task_call, Some(folders), kept, noting);
    let scratch = state.scratch.clone();
    let called =
        call(pre, state, threads, async move |runner: &RunnerInstance, store| runner.run(store, &task).await)
            .await;
    // Before the failure is put together: a panic's last line often has no line end, and it tells the cause.
    stdout.finish();
    stderr.finish();
    log.close().await;
    let context = FailureContext { runner: label, limits, usage: &called.usage, log: &log };
    let failure = match called.result {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => context.returned(error, trouble.saw_cancellation()),
        Err(end) => context.ended(end),
    };
    // A runner only sees that its files are not there.
    for dir in scratch.made().into_iter().flat_map(SandboxDirs::changeable) {
        if let Err(error) = tokio::fs::metadata(dir).await {
            trouble.saw_host(format!("the task's directory went while the runner was using it ({error})"));
        }
    }
    // A port that is cut off by a request to stop looks like a server that failed.
    Err(if called.usage.stopped.is_some() { failure } else { trouble.blame(failure) })
}
