//! What one instance of a runner holds on the host's side: its ports, its budgets, its WASI context.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use wasmtime::component::{HasData, ResourceTable, ResourceTableError};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::bindings::posemesh::runner::types;
use super::limits::{LimitReached, Limits};
use super::memory::MemoryLimiter;
use super::runner_log::RunnerLog;
use crate::ports::{InputPort, OutputPort, PortError};
use crate::report::Reports;

/// Everything a store holds.
pub struct RunState {
    pub(super) wasi: WasiCtx,
    pub(super) table: ResourceTable,
    pub(super) memory: MemoryLimiter,
    pub(super) inputs: Arc<dyn InputPort>,
    pub(super) outputs: Arc<dyn OutputPort>,
    pub(super) reports: Reports,
    pub(super) limits: Limits,
    pub(super) dirs: Option<SandboxDirs>,
    pub(super) scratch: Arc<Scratch>,
    pub(super) log: RunnerLog,
    pub(super) started: Instant,
    pub(super) output_bytes_left: u64,
    pub(super) artifacts_left: u64,
    pub(super) event_tokens: TokenBucket,
}

impl WasiView for RunState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl HasData for RunState {
    type Data<'a> = &'a mut RunState;
}

/// The folders of one task on the host. The runner sees the first two.
#[derive(Debug, Clone)]
pub struct SandboxDirs {
    /// `/work`, read and write.
    pub work: PathBuf,
    /// `/work/inputs`, read only.
    pub inputs: PathBuf,
    /// Parts that are kept but were not materialised.
    pub spool: PathBuf,
}

/// The scratch budget: what the host put into the sandbox plus what the runner wrote there.
#[derive(Debug)]
pub struct Scratch {
    limit: u64,
    kept_inputs: AtomicU64,
    written: AtomicU64,
    exceeded: AtomicBool,
}

impl Scratch {
    /// An empty one.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            kept_inputs: AtomicU64::new(0),
            written: AtomicU64::new(0),
            exceeded: AtomicBool::new(false),
        }
    }

    /// Takes room for bytes of an input.
    ///
    /// # Errors
    /// When the budget is used up.
    pub fn take(&self, bytes: u64) -> Result<(), LimitReached> {
        let kept = self.kept_inputs.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if kept.saturating_add(self.written.load(Ordering::Relaxed)) > self.limit {
            self.kept_inputs.fetch_sub(bytes, Ordering::Relaxed);
            return Err(self.error());
        }
        Ok(())
    }

    /// Says how much the runner has written; true when that is too much.
    pub fn written(&self, bytes: u64) -> bool {
        self.written.store(bytes, Ordering::Relaxed);
        let over = bytes.saturating_add(self.kept_inputs.load(Ordering::Relaxed)) > self.limit;
        if over {
            self.exceeded.store(true, Ordering::Relaxed);
        }
        over
    }

    /// Whether the runner wrote too much.
    pub fn is_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    /// The error that names the limit.
    pub fn error(&self) -> LimitReached {
        LimitReached { name: "scratch_bytes", value: self.limit }
    }
}

/// Allows so many a second, and ten times that at once.
#[derive(Debug)]
pub struct TokenBucket {
    per_second: f64,
    tokens: f64,
    last: Instant,
}

impl TokenBucket {
    /// A full one.
    pub fn new(per_second: u64) -> Self {
        let per_second = per_second as f64;
        Self { per_second, tokens: per_second * 10.0, last: Instant::now() }
    }

    /// Takes one if there is one.
    pub fn take(&mut self) -> bool {
        let now = Instant::now();
        let gained = now.duration_since(self.last).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + gained).min(self.per_second * 10.0);
        self.last = now;
        let there = self.tokens >= 1.0;
        if there {
            self.tokens -= 1.0;
        }
        there
    }
}

/// Why a port call did not succeed: something the guest is told, or something that ends it.
#[derive(Debug)]
pub enum PortFailure {
    /// The guest gets it as `port-error`.
    Told(PortError),
    /// The guest is ended.
    Trap(wasmtime::Error),
}

impl From<PortError> for PortFailure {
    fn from(error: PortError) -> Self {
        Self::Told(error)
    }
}

impl From<LimitReached> for PortFailure {
    fn from(error: LimitReached) -> Self {
        Self::Told(PortError::Limit(error.to_string()))
    }
}

impl From<ResourceTableError> for PortFailure {
    fn from(error: ResourceTableError) -> Self {
        match error {
            ResourceTableError::Full => Self::Told(PortError::Limit(
                "too many handles are open; drop inputs, parts and artifacts that are done (limit `handles` in \
                 NAME.toml)"
                    .to_owned(),
            )),
            other => Self::Trap(other.into()),
        }
    }
}

impl types::Host for RunState {
    fn convert_port_error(&mut self, failure: PortFailure) -> wasmtime::Result<types::PortError> {
        match failure {
            PortFailure::Trap(error) => Err(error),
            PortFailure::Told(error) => Ok(match error {
                PortError::NotFound(text) => types::PortError::NotFound(text),
                PortError::Invalid(text) => types::PortError::Invalid(text),
                PortError::Denied(text) => types::PortError::Denied(text),
                PortError::Limit(text) => types::PortError::Limit(text),
                PortError::Corrupt(text) => types::PortError::Corrupt(text),
                PortError::Unavailable(text) => types::PortError::Unavailable(text),
                PortError::Cancelled => types::PortError::Cancelled,
                PortError::Other(text) => types::PortError::Other(text),
            }),
        }
    }
}
