//! What a store holds before its guest begins: folders, a WASI context with what was granted and nothing
//! else, and full budgets.

use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use posemesh_runner_api::runner::RunnerCall;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpHooks};

use crate::folders::OpenFolder;
use crate::instance::control::ControlContext;
use crate::instance::inputs::InputsContext;
use crate::instance::log_stream::LogStream;
use crate::instance::memory::MemoryLimiter;
use crate::instance::outputs::OutputsContext;
use crate::instance::runner_log::RunnerLog;
use crate::instance::scratch::{SandboxDirs, Scratch};
use crate::instance::state::{RunState, WasiContext};
use crate::instance::trouble::RunTrouble;
use crate::manifest::fixed_limit::FixedLimit;
use crate::manifest::limits::Limits;

/// The state of an instance that has used nothing yet. Without `dirs` it has no sandbox directory.
#[allow(clippy::too_many_arguments, reason = "it is where everything of a run comes together")]
pub(crate) fn new_state(
    ctx: WasiCtx,
    limits: &Limits,
    instance_bytes: u64,
    outbound: Box<dyn WasiHttpHooks>,
    call: RunnerCall,
    dirs: Option<SandboxDirs>,
    log: RunnerLog,
    trouble: RunTrouble,
) -> RunState {
    let mut table = ResourceTable::new();
    // What a handle costs counts against the memory, but some also stand for a descriptor.
    table.set_max_capacity(usize::try_from(limits.handles).unwrap_or(usize::MAX));
    let scratch = Arc::new(Scratch::new(call.disk, dirs, limits, trouble.clone(), log.clone()));
    RunState {
        table,
        wasi: WasiContext { ctx, http: http_context(), outbound },
        inputs: InputsContext::new(call.inputs, scratch.clone()),
        outputs: OutputsContext::new(call.outputs, scratch.clone(), limits),
        memory: MemoryLimiter::new(limits, instance_bytes, log.clone(), trouble),
        control: ControlContext::new(call.reports, log, limits),
        scratch,
        limits: limits.clone(),
    }
}

/// What WASI may make the host hold or open, whatever is granted.
pub(crate) fn within_bounds(wasi: &mut WasiCtxBuilder) {
    wasi.max_random_size(FixedLimit::RandomBytes.bytes() as u64);
    // No address may be reached by a socket; without this one could be made all the same, with its descriptor.
    wasi.allow_tcp(false).allow_udp(false);
}

/// The context of `wasi:http`, which holds no more for a set of headers than servers take.
fn http_context() -> WasiHttpCtx {
    let mut http = WasiHttpCtx::new();
    http.set_field_size_limit(FixedLimit::HeaderBytes.bytes());
    http
}

/// Makes the folders of one task.
///
/// # Errors
/// What the file system says.
pub(crate) async fn make_dirs(task_dir: PathBuf) -> io::Result<SandboxDirs> {
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
    // File system calls may block for long on a slow disk; an async worker thread must not wait for them.
    tokio::task::spawn_blocking(make).await.map_err(io::Error::other)?
}

/// The WASI context of a run: its folders, what the operator granted, and the two output streams.
///
/// # Errors
/// When a folder can't be opened; the text names it.
pub(crate) fn wasi_of_run(
    dirs: &SandboxDirs,
    folders: &[OpenFolder],
    environment: &[(String, String)],
    [stdout, stderr]: [&LogStream; 2],
) -> Result<WasiCtx, String> {
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(stdout.clone()).stderr(stderr.clone()).envs(environment);
    // The guest has its thread for itself. Must be said before the directories are opened.
    wasi.allow_blocking_current_thread(true);
    within_bounds(&mut wasi);
    let mut open = |folder: &Path, name: &str, rights| match wasi.preopened_dir(folder, name, rights) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("opening {} for the runner as {name}: {error:#}", folder.display())),
    };
    open(&dirs.work, "/work", FsPerms::ReadWrite)?;
    // Read only: `read-at` reads the same files on the host's side after they were materialised.
    open(&dirs.inputs, "/work/inputs", FsPerms::ReadOnly)?;
    for OpenFolder { name, folder } in folders {
        // This very folder, which was looked at, and not what its path may lead to by now.
        let opened = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
        open(&opened, &format!("/data/{name}"), FsPerms::ReadOnly)?;
    }
    Ok(wasi.build())
}
