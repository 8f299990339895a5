//! What one store holds on the host's side: a context for each interface, and the table of the guest's handles.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::filesystem::WasiFilesystemView as _;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use crate::instance::control::{ControlContext, ControlView};
use crate::instance::inputs::{InputsContext, InputsView};
use crate::instance::memory::MemoryLimiter;
use crate::instance::outputs::{OutputsContext, OutputsView};
use crate::instance::scratch::Scratch;
use crate::instance::scratch::preopens::Preopens;
use crate::instance::scratch::view::FilesystemView;
use crate::manifest::limits::Limits;

/// The data of a store. Host functions never see all of it: each borrows the view of its interface.
pub(crate) struct RunState {
    pub(crate) table: ResourceTable,
    pub(crate) wasi: WasiContext,
    pub(crate) inputs: InputsContext,
    pub(crate) outputs: OutputsContext,
    pub(crate) control: ControlContext,
    pub(crate) memory: MemoryLimiter,
    pub(crate) scratch: Arc<Scratch>,
    pub(crate) preopens: Arc<Preopens>,
    pub(crate) limits: Limits,
}

/// What WASI needs: folders, streams and variables; and the way out by HTTP.
pub(crate) struct WasiContext {
    pub(crate) ctx: WasiCtx,
    pub(crate) http: WasiHttpCtx,
    pub(crate) outbound: Box<dyn WasiHttpHooks>,
}

impl RunState {
    pub(crate) fn inputs(&mut self) -> InputsView<'_> {
        InputsView { context: &self.inputs, table: &mut self.table, memory: &self.memory }
    }

    pub(crate) fn outputs(&mut self) -> OutputsView<'_> {
        OutputsView { context: &mut self.outputs, table: &mut self.table }
    }

    pub(crate) fn metered_filesystem(&mut self) -> FilesystemView<'_> {
        // Copies, since wasmtime lends its part only together with the whole.
        let (scratch, memory_left) = (self.scratch.clone(), self.memory.left());
        let preopens = self.preopens.clone();
        FilesystemView { wasi: self.filesystem(), scratch, memory_left, preopens }
    }

    pub(crate) fn control(&mut self) -> ControlView<'_> {
        ControlView {
            context: &mut self.control,
            memory: &self.memory,
            scratch: &self.scratch,
            outputs: self.outputs.budget(),
        }
    }
}

impl WasiView for RunState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi.ctx, table: &mut self.table }
    }
}

impl WasiHttpView for RunState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.wasi.http, table: &mut self.table, hooks: &mut *self.wasi.outbound }
    }
}
