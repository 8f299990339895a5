//! The one engine of the node: how components are compiled, linked and interrupted.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine};

use super::bindings::Runner as RunnerWorld;
use super::state::RunState;

/// How often a running guest looks whether it should stop: about the longest that one guest can keep
/// its thread from noticing a cancellation or a deadline.
pub const TICK: Duration = Duration::from_millis(10);

/// What one host call may copy out of a guest: the largest chunk and some room.
pub const HOSTCALL_BYTES: usize = 16 << 20;

/// The engine, the linker and the ticker. One a node; cheap to share.
pub struct Sandbox {
    engine: Engine,
    linker: Linker<RunState>,
}

/// Why the sandbox can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// wasmtime refused the configuration or the host functions.
    #[error("setting up the WebAssembly engine: {0:#}")]
    Engine(wasmtime::Error),
    /// The ticker could not be started.
    #[error("starting the engine's ticker thread: {0}")]
    Ticker(std::io::Error),
}

impl Sandbox {
    /// Sets up the engine and starts its ticker thread, which ends with the last use of the engine: it
    /// outlives the sandbox while a generation that was loaded through it lives.
    ///
    /// # Errors
    /// When this machine can't run wasmtime.
    pub fn new() -> Result<Arc<Self>, SandboxError> {
        let engine = Engine::new(&config()).map_err(SandboxError::Engine)?;
        let mut linker = Linker::new(&engine);
        link(&mut linker).map_err(SandboxError::Engine)?;
        start_ticker(&engine).map_err(SandboxError::Ticker)?;
        Ok(Arc::new(Self { engine, linker }))
    }

    /// An engine with the same settings that only compiles: what it makes, a sandbox can load.
    ///
    /// # Errors
    /// When this machine can't run wasmtime.
    pub(super) fn compiling_engine() -> wasmtime::Result<Engine> {
        Engine::new(&config())
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Links a component to everything that a runner may import.
    ///
    /// # Errors
    /// When it imports something else.
    pub fn link(&self, component: &Component) -> wasmtime::Result<InstancePre<RunState>> {
        self.linker.instantiate_pre(component)
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sandbox")
    }
}

/// The one set of settings: code that was compiled with others does not load.
fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        // The limiter is not asked about shared memories, so there are none (and wasmtime is built
        // without its feature `threads`).
        .shared_memory(false)
        .wasm_memory64(false)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(32))
        .max_wasm_stack(1 << 20)
        .async_stack_size(4 << 20);
    config
}

fn link(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    // All of WASI 0.2 and 0.3 is linked; what a runner is not granted is empty or denied by its context.
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi::p3::add_to_linker(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    RunnerWorld::add_to_linker::<RunState, RunState>(linker, |state| state)
}

/// The thread that makes epochs pass. It holds the engine weakly, so that it can't keep it alive.
fn start_ticker(engine: &Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("wasm-epoch".to_owned()).spawn(move || {
        loop {
            std::thread::sleep(TICK);
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
        }
    })?;
    Ok(())
}
