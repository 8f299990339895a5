//! What one instance of a runner holds on the host's side: its ports, its budgets, its WASI context.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{HasData, ResourceTable, ResourceTableError};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::bindings::posemesh::runner::types;
use super::limits::{LimitReached, Limits};
use super::memory::MemoryLimiter;
use super::outbound::Outbound;
use super::runner_log::RunnerLog;
use super::scratch::{SandboxDirs, Scratch};
use posemesh_runner_api::ports::{InputPort, OutputPort, PortError, PortErrorKind};
use posemesh_runner_api::reports::Reports;

/// Everything a store holds.
pub struct RunState {
    pub(super) wasi: WasiCtx,
    pub(super) table: ResourceTable,
    pub(super) http: WasiHttpCtx,
    pub(super) outbound: Outbound,
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

impl WasiHttpView for RunState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.outbound }
    }
}

impl HasData for RunState {
    type Data<'a> = &'a mut RunState;
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
        Self::Told(PortError::limit(error.to_string()))
    }
}

impl From<ResourceTableError> for PortFailure {
    fn from(error: ResourceTableError) -> Self {
        match error {
            ResourceTableError::Full => Self::Told(PortError::limit(
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
            PortFailure::Told(PortError { kind, text }) => Ok(match kind {
                PortErrorKind::NotFound => types::PortError::NotFound(text),
                PortErrorKind::Invalid => types::PortError::Invalid(text),
                PortErrorKind::Denied => types::PortError::Denied(text),
                PortErrorKind::Limit => types::PortError::Limit(text),
                PortErrorKind::Corrupt => types::PortError::Corrupt(text),
                PortErrorKind::Unavailable => types::PortError::Unavailable(text),
                PortErrorKind::Cancelled => types::PortError::Cancelled,
                PortErrorKind::Other => types::PortError::Other(text),
            }),
        }
    }
}
