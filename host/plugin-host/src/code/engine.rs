//! The one engine of a node: how components are compiled, linked and interrupted.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine, OptLevel, WasmBacktraceDetails};

use crate::code::places::{ASYNC_STACK, Places};
use crate::instance::guest_threads::GuestThreads;
use crate::instance::state::RunState;
use crate::instance::{filesystem, host, v0_1};
use crate::manifest::fixed_limit::FixedLimit;

/// The most frames of a backtrace. A guest's recursion is endless, a failure's details are not.
const BACKTRACE_FRAMES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(31);

/// wasmtime, what a runner can be linked to, and the threads of guests. One a process.
pub struct RunnerEngine {
    engine: Engine,
    linker: Linker<RunState>,
    threads: GuestThreads,
}

/// Why the engine can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refused the configuration or the host functions.
    #[error("setting up the WebAssembly engine: {0}")]
    Engine(String),
}

impl RunnerEngine {
    /// Sets up the engine.
    ///
    /// # Errors
    /// When this machine can't run wasmtime.
    pub fn new() -> Result<Arc<Self>, EngineError> {
        Self::of(compiling_engine().map_err(|error| EngineError::Engine(format!("{error:#}")))?)
    }

    /// The same without a compiler, for a process that only runs what others have compiled.
    ///
    /// # Errors
    /// As [`RunnerEngine::new`].
    pub(crate) fn running() -> Result<Arc<Self>, EngineError> {
        let refused = |error: wasmtime::Error| EngineError::Engine(format!("{error:#}"));
        Self::of(Engine::new(config().enable_compiler(false)).map_err(refused)?)
    }

    /// The same for a process of one runner, whose instances take places that are kept from task to task.
    ///
    /// # Errors
    /// When there is no room for so many places.
    pub(crate) fn pooling(places: Places) -> Result<Arc<Self>, EngineError> {
        let refused = |error: wasmtime::Error| EngineError::Engine(format!("{error:#}"));
        let mut config = config();
        config.enable_compiler(false).async_stack_zeroing(true);
        config.allocation_strategy(places.pool());
        Self::of(Engine::new(&config).map_err(refused)?)
    }

    fn of(engine: Engine) -> Result<Arc<Self>, EngineError> {
        let refused = |error: wasmtime::Error| EngineError::Engine(format!("{error:#}"));
        let mut linker = Linker::new(&engine);
        add_to_linker(&mut linker).map_err(refused)?;
        Ok(Arc::new(Self { engine, linker, threads: GuestThreads::default() }))
    }

    /// How many runners of this engine could not be ended and still hold their threads. Above 0 a node should
    /// take no work; the number falls when what blocked a thread passes.
    pub fn stuck_runners(&self) -> usize {
        self.threads.stuck()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn guest_threads(&self) -> &GuestThreads {
        &self.threads
    }

    /// Links a component to everything that a runner may import.
    ///
    /// # Errors
    /// When the component imports something else.
    pub(crate) fn link(&self, component: &Component) -> wasmtime::Result<InstancePre<RunState>> {
        self.linker.instantiate_pre(component)
    }
}

impl Drop for RunnerEngine {
    fn drop(&mut self) {
        self.threads.end();
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
    Engine::new(&config())
}

/// The same, whose code is made sooner and is slower. Every engine here loads it: how well code was made is not among the
/// settings that have to agree.
pub(crate) fn hasty_engine() -> wasmtime::Result<Engine> {
    Engine::new(config().cranelift_opt_level(OptLevel::None))
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        // The limiter is not asked about shared memories, so there are none (and wasmtime is built
        // without its feature `threads`).
        .shared_memory(false)
        .wasm_memory64(false)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES))
        // File and line of each frame, if the component has them. They are read when a runner traps, in its own process,
        // whose memory and time bound what a hostile table can cost.
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .max_wasm_stack(FixedLimit::StackBytes.bytes())
        .async_stack_size(ASYNC_STACK);
    config
}

fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    // All of WASI 0.2 and 0.3 is linked; what a runner is not granted is empty or denied by its context.
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi::p3::add_to_linker(linker)?;
    filesystem::add_to_linker(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    host::add_to_linker(linker)?;
    v0_1::add_to_linker(linker)
}
