//! What a store holds before its guest begins: a WASI context with what was granted and nothing else, and full
//! budgets.

use std::sync::Arc;

use posemesh_runner_api::runner::RunnerCall;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpHooks};

use crate::folders::OpenFolder;
use crate::instance::control::ControlContext;
use crate::instance::inputs::InputsContext;
use crate::instance::log_stream::LogStream;
use crate::instance::memory::MemoryLimiter;
use crate::instance::outputs::OutputsContext;
use crate::instance::runner_log::RunnerLog;
use crate::instance::scratch::Scratch;
use crate::instance::scratch::folders::TaskFolders;
use crate::instance::scratch::preopens::Preopens;
use crate::instance::state::{RunState, WasiContext};
use crate::instance::trouble::RunTrouble;
use crate::manifest::fixed_limit::FixedLimit;
use crate::manifest::limits::Limits;

/// The state of an instance that has used nothing yet. Without `folders`, those that were granted, it has no sandbox
/// directory either.
#[allow(clippy::too_many_arguments, reason = "it is where everything of a run comes together")]
pub(crate) fn new_state(
    ctx: WasiCtx,
    limits: &Limits,
    instance_bytes: u64,
    outbound: Box<dyn WasiHttpHooks>,
    call: RunnerCall,
    folders: Option<Arc<[OpenFolder]>>,
    log: RunnerLog,
    trouble: RunTrouble,
) -> RunState {
    let mut table = ResourceTable::new();
    // What a handle costs counts against the memory, but some also stand for a descriptor.
    table.set_max_capacity(usize::try_from(limits.handles).unwrap_or(usize::MAX));
    let of_task = folders.is_some().then(|| TaskFolders::of(call.disk.clone()));
    let scratch = Arc::new(Scratch::new(call.disk, of_task, limits, trouble.clone(), log.clone()));
    RunState {
        table,
        wasi: WasiContext { ctx, http: http_context(), outbound },
        inputs: InputsContext::new(call.inputs, scratch.clone()),
        outputs: OutputsContext::new(call.outputs, scratch.clone(), limits, log.clone()),
        memory: MemoryLimiter::new(limits, instance_bytes, log.clone(), trouble),
        control: ControlContext::new(call.reports, log, limits),
        scratch,
        preopens: Arc::new(Preopens::new(folders.unwrap_or_default())),
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

/// What every run finds in its environment, unless the operator granted a variable of that name: `PWD` is how Go learns
/// of the working directory.
const OWN_ENVIRONMENT: [(&str, &str); 2] = [("PWD", "/work"), ("TMPDIR", "/tmp")];

/// The WASI context of a run: where it begins, what the operator granted, and the two output streams. Its folders are
/// [`Preopens`].
pub(crate) fn wasi_of_run(environment: &[(String, String)], [stdout, stderr]: [&LogStream; 2]) -> WasiCtx {
    let mut wasi = WasiCtxBuilder::new();
    for (name, value) in OWN_ENVIRONMENT {
        if !environment.iter().any(|(granted, _)| granted == name) {
            wasi.env(name, value);
        }
    }
    wasi.stdout(stdout.clone()).stderr(stderr.clone()).envs(environment).initial_cwd("/work");
    // The guest has its thread for itself.
    wasi.allow_blocking_current_thread(true);
    within_bounds(&mut wasi);
    wasi.build()
}
