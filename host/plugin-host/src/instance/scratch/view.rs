//! What the host functions of `wasi:filesystem` borrow of an instance.

use std::sync::Arc;

use wasmtime::component::HasData;
use wasmtime_wasi::filesystem::WasiFilesystemCtxView;

use crate::instance::memory::MemoryLeft;
use crate::instance::scratch::Scratch;
use crate::instance::scratch::preopens::Preopens;

/// wasmtime's own view, and the budgets beside it.
pub(crate) struct FilesystemView<'a> {
    pub(crate) wasi: WasiFilesystemCtxView<'a>,
    pub(crate) scratch: Arc<Scratch>,
    pub(crate) memory_left: MemoryLeft,
    pub(crate) preopens: Arc<Preopens>,
}

/// Tells the linker which view the functions get.
pub(crate) struct HasFilesystem;

impl HasData for HasFilesystem {
    type Data<'a> = FilesystemView<'a>;
}
