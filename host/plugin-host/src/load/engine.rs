//! The one engine of a node: how components are compiled, linked and interrupted.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine};

use crate::instance::state::RunState;
use crate::instance::stuck::StuckThreads;
use crate::instance::{filesystem, host};

/// How often a running guest is interrupted to see whether it should stop: about the longest that one guest can
/// keep its thread from noticing a cancellation or a deadline.
const TICK: Duration = Duration::from_millis(10);
/// The stack of a guest, in bytes: what wasmtime checks, and what the operating system has to give for it and for
/// the host functions that are called on top.
const WASM_STACK: usize = 1 << 20;
const ASYNC_STACK: usize = 4 << 20;
/// The most frames of a backtrace. A guest's recursion is endless, a failure's details are not.
const BACKTRACE_FRAMES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(31);

/// wasmtime, what a runner can be linked to, and the thread that interrupts guests. One a node.
pub struct RunnerEngine {
    engine: Engine,
    linker: Linker<RunState>,
    stuck: StuckThreads,
}

/// Why the engine can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refused the configuration or the host functions.
    #[error("setting up the WebAssembly engine: {0}")]
    Engine(String),
    /// The ticker could not be started.
    #[error("starting the engine's ticker thread: {0}")]
    Ticker(io::Error),
}

impl RunnerEngine {
    /// Sets up the engine and starts its ticker thread, which ends with the last use of the engine: it
    /// outlives this value while a generation that was loaded through it lives.
    ///
    /// # Errors
    /// When this machine can't run wasmtime.
    pub fn new() -> Result<Arc<Self>, EngineError> {
        let refused = |error: wasmtime::Error| EngineError::Engine(format!("{error:#}"));
        let engine = compiling_engine().map_err(refused)?;
        let mut linker = Linker::new(&engine);
        add_to_linker(&mut linker).map_err(refused)?;
        start_ticker(&engine).map_err(EngineError::Ticker)?;
        Ok(Arc::new(Self { engine, linker, stuck: StuckThreads::default() }))
    }

    /// How many runners of this engine could not be ended and still hold their threads. Above 0 a node should
    /// take no work; the number falls when what blocked a thread passes.
    pub fn stuck_runners(&self) -> usize {
        self.stuck.count()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn stuck_threads(&self) -> &StuckThreads {
        &self.stuck
    }

    /// Links a component to everything that a runner may import.
    ///
    /// # Errors
    /// When the component imports something else.
    pub(crate) fn link(&self, component: &Component) -> wasmtime::Result<InstancePre<RunState>> {
        self.linker.instantiate_pre(component)
    }
}

impl fmt::Debug for RunnerEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunnerEngine")
    }
}

/// wasmtime with the one set of settings: code that was compiled with others does not load. By itself it can only
/// compile.
pub(crate) fn compiling_engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        // The limiter is not asked about shared memories, so there are none (and wasmtime is built
        // without its feature `threads`).
        .shared_memory(false)
        .wasm_memory64(false)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES))
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(ASYNC_STACK);
    Engine::new(&config)
}

fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    // All of WASI 0.2 and 0.3 is linked; what a runner is not granted is empty or denied by its context.
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi::p3::add_to_linker(linker)?;
    filesystem::add_to_linker(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    host::add_to_linker(linker)
}

/// The thread that makes epochs pass. It holds the engine weakly, so that it can't keep it alive.
fn start_ticker(engine: &Engine) -> io::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("wasm-epoch".to_owned()).spawn(move || {
        loop {
            std::thread::sleep(TICK);
            // Upgraded for one tick only: the reference must not be held while the thread sleeps.
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
        }
    })?;
    Ok(())
}
