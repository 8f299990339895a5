//! What a store holds before its guest begins: folders, a WASI context with what was granted and nothing
//! else, and full budgets.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};
use wasmtime_wasi_http::WasiHttpCtx;

use super::limits::Limits;
use super::memory::MemoryLimiter;
use super::outbound::Outbound;
use super::policy::Grant;
use super::runner_log::{LogStream, RunnerLog};
use super::scratch::{SandboxDirs, Scratch};
use super::state::{RunState, TokenBucket};
use posemesh_runner_api::runner::RunnerCall;

/// The most random bytes that one call may ask for.
const RANDOM_BYTES: u64 = 1 << 20;

/// The state of an instance that has used nothing yet.
pub fn new_state(
    wasi: WasiCtx,
    limits: &Limits,
    outbound: Outbound,
    call: RunnerCall,
    dirs: Option<SandboxDirs>,
    log: RunnerLog,
) -> RunState {
    let mut table = ResourceTable::new();
    table.set_max_capacity(usize::try_from(limits.handles).unwrap_or(usize::MAX));
    RunState {
        wasi,
        table,
        http: WasiHttpCtx::new(),
        outbound,
        memory: MemoryLimiter::new(limits),
        inputs: call.inputs,
        outputs: call.outputs,
        reports: call.reports,
        limits: limits.clone(),
        dirs,
        scratch: Arc::new(Scratch::new(call.disk, limits)),
        log,
        started: Instant::now(),
        output_bytes_left: limits.output_bytes,
        artifacts_left: limits.artifacts,
        event_tokens: TokenBucket::new(limits.events_per_second),
    }
}

/// Makes the folders of one task.
///
/// # Errors
/// What the file system says.
pub async fn make_dirs(task_dir: PathBuf) -> std::io::Result<SandboxDirs> {
    let make = move || {
        let dirs = SandboxDirs {
            work: task_dir.join("sandbox"),
            inputs: task_dir.join("inputs"),
            spool: task_dir.join("spool"),
        };
        // `/work/inputs` is mounted over this one; it is here so that a listing of `/work` shows it.
        let shadow = dirs.work.join("inputs");
        for dir in [&dirs.work, &dirs.inputs, &dirs.spool, &shadow] {
            std::fs::create_dir_all(dir)?;
        }
        Ok(dirs)
    };
    tokio::task::spawn_blocking(make).await.map_err(std::io::Error::other)?
}

/// The WASI context of a run: its folders, what the operator granted, and the two output streams.
///
/// # Errors
/// When a folder can't be opened; the text names it.
pub fn wasi_of_run(
    dirs: &SandboxDirs,
    grant: &Grant,
    environment: &[(String, String)],
    [stdout, stderr]: [&LogStream; 2],
) -> Result<WasiCtx, String> {
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(stdout.clone()).stderr(stderr.clone()).envs(environment);
    // The guest has its thread for itself. Must be said before the directories are opened.
    wasi.allow_blocking_current_thread(true).max_random_size(RANDOM_BYTES);
    let mut open = |folder: &PathBuf, name: &str, rights| match wasi.preopened_dir(folder, name, rights) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("opening {} for the runner as {name}: {error:#}", folder.display())),
    };
    open(&dirs.work, "/work", FsPerms::ReadWrite)?;
    open(&dirs.inputs, "/work/inputs", FsPerms::ReadOnly)?;
    for (name, folder) in &grant.directories {
        open(folder, &format!("/data/{name}"), FsPerms::ReadOnly)?;
    }
    Ok(wasi.build())
}
