//! `wasi:filesystem/preopens` of both versions.

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, Dir};
use wasmtime_wasi::p2::bindings::filesystem::preopens as p2;
use wasmtime_wasi::p3::bindings::filesystem::preopens as p3;

use crate::instance::scratch::view::FilesystemView;

impl FilesystemView<'_> {
    fn directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let opened = self.preopens.open(&self.scratch)?;
        let push = |(dir, name): &(Dir, String)| {
            Ok((self.wasi.table.push(Descriptor::Dir(dir.clone()))?, name.clone()))
        };
        opened.iter().map(push).collect()
    }
}

impl p2::Host for FilesystemView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        self.directories()
    }
}

impl p3::Host for FilesystemView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        self.directories()
    }
}
