//! A file `NAME.wasm`: read, verified, compiled, linked, asked to describe itself, and run.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use posemesh_plugin_host::load::{Loader, LoaderSettings, RunnerEngine};
use posemesh_plugin_host::manifest::{LimitSettings, Policy};
use posemesh_plugin_host::registry::Generation;
use posemesh_runner_api::runner::Runner as _;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{ports, shown};

/// The longest text of a refusal, its path included.
const MAX_REFUSAL: usize = 8 << 10;
/// The longest text in the account of a failure.
const MAX_TEXT: usize = 8 << 10;
/// The longest account of a failure as JSON: it travels to the job server.
const MAX_DETAILS: usize = 64 << 10;
/// How long `describe` may take.
const DESCRIBE_TIME: Duration = Duration::from_secs(2);
/// How long a run may take.
const DEADLINE: Duration = Duration::from_millis(300);
/// Loading and running must have ended by then, on a busy machine too.
const LONGEST: Duration = Duration::from_secs(9);

/// What is used again for every input.
struct Host {
    runtime: Runtime,
    loader: Loader,
    dir: TempDir,
}

/// Loads and runs the file, and panics where something does not hold.
pub fn holds(component: &[u8]) {
    let host = host();
    let began = Instant::now();
    host.runtime.block_on(load_and_run(host, component));
    let took = began.elapsed();
    assert!(took < LONGEST, "{took:?} for a component of {} bytes", component.len());
}

async fn load_and_run(host: &Host, component: &[u8]) {
    let path = host.dir.path().join("stranger.wasm");
    std::fs::write(&path, component).expect("a file can be written");
    let deadline = u64::try_from(DEADLINE.as_millis()).expect("a short time");
    let policy = Policy {
        limits: LimitSettings {
            deadline_ms: Some(deadline),
            memory_bytes: Some(64 << 20),
            ..LimitSettings::default()
        },
        ..Policy::default()
    };
    let generation = match Generation::load(&host.loader, &path, 1, &policy, &|_| None, &|_| ()).await {
        Ok(generation) => generation,
        Err(refusal) => return shown::is_showable(&refusal.to_string(), MAX_REFUSAL),
    };
    shown::is_showable(&generation.label(), MAX_TEXT);
    let capability = generation.description.capabilities.first().expect("a runner claims something");
    let work = host.dir.path().join("work");
    std::fs::create_dir_all(&work).expect("a folder can be made");
    if let Err(failure) = generation.run(ports::call(capability, &work)).await {
        shown::is_showable(&failure.reason, MAX_TEXT);
        shown::is_showable_throughout(&failure.details, MAX_TEXT);
        let details = failure.details.to_string().len();
        assert!(details <= MAX_DETAILS, "the details of a failure have {details} bytes");
    }
}

fn host() -> &'static Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| {
        let runtime = Runtime::new().expect("threads can be started");
        let settings = LoaderSettings {
            // In this process: the fuzzer sees the compiler then, and an input costs no process.
            describe_time: DESCRIBE_TIME,
            ..LoaderSettings::default()
        }
        .in_this_process();
        let engine = RunnerEngine::new().expect("wasmtime runs here");
        let loader = runtime.block_on(Loader::open(engine, settings)).expect("no cache can fail to open");
        Host { runtime, loader, dir: tempfile::tempdir().expect("a temporary folder") }
    })
}
