//! The host's side of the WIT interface `inputs`.

use std::sync::Arc;

use bytes::Bytes;
use posemesh_runner_api::ports::{DEFAULT_CHUNK, MAX_CHUNK};
use tokio::sync::Mutex;
use wasmtime::component::Resource;

use crate::instance::bindings::posemesh::runner::inputs::{Host, HostInput, HostPart, PartInfo};
use crate::instance::bindings::posemesh::runner::types;
use crate::instance::inputs::InputsView;
use crate::instance::port_failure::PortFailure;
use crate::instance::resources::{InputHandle, PartHandle, SharedDownload};
use crate::instance::wit;

/// The size of a chunk that was asked for: 0 means the default, more than the cap means the cap.
fn chunk(max_bytes: u32) -> usize {
    match max_bytes as usize {
        0 => DEFAULT_CHUNK,
        bytes => bytes.min(MAX_CHUNK),
    }
}

impl InputsView<'_> {
    fn part(&self, part: &Resource<PartHandle>) -> Result<(SharedDownload, usize), PortFailure> {
        let part = self.table.get(part)?;
        Ok((part.download.clone(), part.index))
    }

    /// The next bytes of a part; none at its end.
    pub(super) async fn read(
        &mut self,
        part: &Resource<PartHandle>,
        max_bytes: u32,
    ) -> Result<Bytes, PortFailure> {
        let (download, index) = self.part(part)?;
        let bytes = download.lock().await.read(index, chunk(max_bytes)).await?;
        Ok(bytes)
    }

    /// Bytes of a part from an offset; none at or past its end.
    pub(super) async fn read_at(
        &mut self,
        part: &Resource<PartHandle>,
        offset: u64,
        max_bytes: u32,
    ) -> Result<Bytes, PortFailure> {
        let (download, index) = self.part(part)?;
        let bytes = download.lock().await.read_at(index, offset, chunk(max_bytes)).await?;
        Ok(bytes)
    }
}

impl types::Host for InputsView<'_> {
    fn convert_error(&mut self, failure: PortFailure) -> wasmtime::Result<types::Error> {
        if let PortFailure::Returned(error) = &failure {
            self.context.trouble().saw_port(error);
        }
        wit::port_error(failure)
    }
}

impl Host for InputsView<'_> {
    async fn open(&mut self, cid: String) -> Result<Resource<InputHandle>, PortFailure> {
        let download = Arc::new(Mutex::new(self.context.open(cid).await?));
        Ok(self.table.push(InputHandle { download })?)
    }

    async fn read_all(&mut self, cid: String, max_bytes: u64) -> Result<Vec<u8>, PortFailure> {
        let free = self.memory.memory_free();
        Ok(self.context.read_all(cid, max_bytes, free).await?)
    }

    async fn materialise_all(&mut self, cid: String) -> Result<Vec<String>, PortFailure> {
        Ok(self.context.materialise_all(cid).await?)
    }
}

impl HostInput for InputsView<'_> {
    async fn next_part(
        &mut self,
        input: Resource<InputHandle>,
    ) -> Result<Option<Resource<PartHandle>>, PortFailure> {
        let download = self.table.get(&input)?.download.clone();
        let Some(index) = download.lock().await.next_part().await? else { return Ok(None) };
        Ok(Some(self.table.push(PartHandle { download, index })?))
    }

    async fn drop(&mut self, input: Resource<InputHandle>) -> wasmtime::Result<()> {
        self.table.delete(input)?;
        Ok(())
    }
}

impl HostPart for InputsView<'_> {
    async fn info(&mut self, part: Resource<PartHandle>) -> wasmtime::Result<PartInfo> {
        let part = self.table.get(&part)?;
        let download = part.download.lock().await;
        Ok(wit::part_info(download.info(part.index)?))
    }

    async fn read(&mut self, part: Resource<PartHandle>, max_bytes: u32) -> Result<Vec<u8>, PortFailure> {
        Ok(InputsView::read(self, &part, max_bytes).await?.into())
    }

    async fn read_at(
        &mut self,
        part: Resource<PartHandle>,
        offset: u64,
        max_bytes: u32,
    ) -> Result<Vec<u8>, PortFailure> {
        Ok(InputsView::read_at(self, &part, offset, max_bytes).await?.into())
    }

    async fn materialise(&mut self, part: Resource<PartHandle>) -> Result<String, PortFailure> {
        let (download, index) = self.part(&part)?;
        let path = download.lock().await.materialise(index).await?;
        Ok(path)
    }

    async fn drop(&mut self, part: Resource<PartHandle>) -> wasmtime::Result<()> {
        let part = self.table.delete(part)?;
        part.download.lock().await.drop_part(part.index);
        Ok(())
    }
}
