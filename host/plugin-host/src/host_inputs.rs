//! The host's side of the WIT interface `inputs`.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::Mutex;
use wasmtime::component::Resource;

use super::bindings::posemesh::runner::inputs::{Host, HostInput, HostPart, PartInfo};
use super::download::{Download, Place};
use super::state::{PortFailure, RunState};
use posemesh_runner_api::ports::{DEFAULT_CHUNK, MAX_CHUNK, PortError};

/// The most that `read-all` takes: the node holds it whole.
const READ_ALL_BYTES: u64 = 64 << 20;

/// An opened CID, as the guest holds it.
pub struct InputHandle {
    download: Arc<Mutex<Download>>,
}

/// A part, as the guest holds it.
pub struct PartHandle {
    download: Arc<Mutex<Download>>,
    index: usize,
}

/// The size of a chunk that was asked for: 0 means the default, more than the cap means the cap.
fn chunk(max_bytes: u32) -> usize {
    match max_bytes as usize {
        0 => DEFAULT_CHUNK,
        bytes => bytes.min(MAX_CHUNK),
    }
}

impl RunState {
    /// Borrows nothing: the rest of the state can't be shared between threads.
    fn open_download(&self, cid: String) -> impl Future<Output = Result<Download, PortError>> + Send + use<> {
        let place = Place { dirs: self.dirs.clone(), scratch: self.scratch.clone() };
        Download::open(self.inputs.clone(), cid, place)
    }

    fn part(&self, part: &Resource<PartHandle>) -> Result<(Arc<Mutex<Download>>, usize), PortFailure> {
        let part = self.table.get(part)?;
        Ok((part.download.clone(), part.index))
    }

    /// Names of materialised files, over all inputs of the task.
    fn taken_names(&self) -> HashSet<String> {
        let Some(dirs) = &self.dirs else { return HashSet::new() };
        let mut names = HashSet::new();
        for scan in std::fs::read_dir(&dirs.inputs).into_iter().flatten().flatten() {
            let files = std::fs::read_dir(scan.path()).into_iter().flatten().flatten();
            let scan = scan.file_name().to_string_lossy().into_owned();
            names.extend(files.map(|file| format!("{scan}/{}", file.file_name().to_string_lossy())));
        }
        names
    }
}

impl Host for RunState {
    async fn open(&mut self, cid: String) -> Result<Resource<InputHandle>, PortFailure> {
        let download = Arc::new(Mutex::new(self.open_download(cid).await?));
        Ok(self.table.push(InputHandle { download })?)
    }

    async fn read_all(&mut self, cid: String, max_bytes: u64) -> Result<Vec<u8>, PortFailure> {
        let mut download = self.open_download(cid.clone()).await?;
        let Some(part) = download.next_part().await? else {
            return Err(PortError::not_found(format!("input {cid} has no parts")).into());
        };
        let size = download.info(part)?.size;
        // It is held here and then in the guest's memory, in one piece.
        let free = self.limits.memory_bytes.saturating_sub(self.memory.memory_used());
        let most = max_bytes.min(READ_ALL_BYTES).min(free);
        if size > most {
            return Err(PortError::limit(format!(
                "input {cid} has {size} bytes, more than the {most} that read-all may take; read it as a stream"
            ))
            .into());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        loop {
            let next = download.read(part, DEFAULT_CHUNK).await?;
            if next.is_empty() {
                return Ok(bytes);
            }
            bytes.extend_from_slice(&next);
        }
    }

    async fn materialise_all(&mut self, cid: String) -> Result<Vec<String>, PortFailure> {
        let mut download = self.open_download(cid).await?;
        let mut taken = self.taken_names();
        let mut paths = Vec::new();
        while let Some(part) = download.next_part().await? {
            paths.push(download.materialise(part, &mut taken).await?);
        }
        Ok(paths)
    }
}

impl HostInput for RunState {
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

impl HostPart for RunState {
    async fn info(&mut self, part: Resource<PartHandle>) -> wasmtime::Result<PartInfo> {
        let part = self.table.get(&part)?;
        let download = part.download.lock().await;
        let info = download.info(part.index)?;
        Ok(PartInfo {
            data_id: info.data_id.clone(),
            name: info.name.clone(),
            data_type: info.data_type.clone(),
            size: info.size,
            domain_id: info.domain_id.clone(),
            created_at: info.created_at.clone(),
            updated_at: info.updated_at.clone(),
        })
    }

    async fn read(&mut self, part: Resource<PartHandle>, max_bytes: u32) -> Result<Vec<u8>, PortFailure> {
        let (download, index) = self.part(&part)?;
        let bytes = download.lock().await.read(index, chunk(max_bytes)).await?;
        Ok(bytes.into())
    }

    async fn read_at(
        &mut self,
        part: Resource<PartHandle>,
        offset: u64,
        max_bytes: u32,
    ) -> Result<Vec<u8>, PortFailure> {
        let (download, index) = self.part(&part)?;
        let bytes = download.lock().await.read_at(index, offset, chunk(max_bytes)).await?;
        Ok(bytes.into())
    }

    async fn materialise(&mut self, part: Resource<PartHandle>) -> Result<String, PortFailure> {
        let (download, index) = self.part(&part)?;
        let mut taken = self.taken_names();
        let path = download.lock().await.materialise(index, &mut taken).await?;
        Ok(path)
    }

    async fn drop(&mut self, part: Resource<PartHandle>) -> wasmtime::Result<()> {
        let part = self.table.delete(part)?;
        part.download.lock().await.drop_part(part.index);
        Ok(())
    }
}
