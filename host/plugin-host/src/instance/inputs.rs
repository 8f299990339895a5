//! The inputs of one task: opened by CID, read as streams, kept in files only when a runner wants that.

pub(crate) mod download;
pub(crate) mod file_names;
pub(crate) mod kept_part;

use std::sync::Arc;

use posemesh_runner_api::ports::{DEFAULT_CHUNK, InputPort, PortError};
use wasmtime::component::ResourceTable;

use crate::instance::inputs::download::InputReader;
use crate::instance::memory::MemoryLimiter;
use crate::instance::scratch::Scratch;
use crate::instance::trouble::RunTrouble;

/// The most that `read-all` takes: the node holds it whole.
const READ_ALL_BYTES: u64 = 64 << 20;

/// Where a task's inputs come from, and the budget of those that are kept in files.
pub(crate) struct InputsContext {
    port: Arc<dyn InputPort>,
    scratch: Arc<Scratch>,
}

/// What the host functions of `inputs` borrow of an instance.
pub(crate) struct InputsView<'a> {
    pub(crate) context: &'a InputsContext,
    pub(crate) table: &'a mut ResourceTable,
    pub(crate) memory: &'a MemoryLimiter,
}

impl InputsContext {
    pub(crate) fn new(port: Arc<dyn InputPort>, scratch: Arc<Scratch>) -> Self {
        Self { port, scratch }
    }

    /// Where errors that the guest gets are noted.
    pub(crate) fn trouble(&self) -> &RunTrouble {
        self.scratch.trouble()
    }

    /// Opens a CID.
    pub(crate) async fn open(&self, cid: String) -> Result<InputReader, PortError> {
        InputReader::open(self.port.clone(), cid, self.scratch.clone()).await
    }

    /// All bytes of a CID's first part, if they are no more than `max_bytes` and fit into `free` bytes of memory:
    /// they are held here and then in the guest's memory, in one piece.
    pub(crate) async fn read_all(
        &self,
        cid: String,
        max_bytes: u64,
        free: u64,
    ) -> Result<Vec<u8>, PortError> {
        let mut download = self.open(cid.clone()).await?;
        let Some(part) = download.next_part().await? else {
            return Err(PortError::not_found(format!("input {cid} has no parts")));
        };
        let size = download.info(part)?.size;
        let most = max_bytes.min(READ_ALL_BYTES).min(free);
        if size > most {
            return Err(PortError::limit(format!(
                "input {cid} has {size} bytes, more than the {most} that read-all may take; read it as a stream"
            )));
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

    /// Every part of a CID as a file; the paths as the runner sees them.
    pub(crate) async fn materialise_all(&self, cid: String) -> Result<Vec<String>, PortError> {
        let mut download = self.open(cid).await?;
        let mut paths = Vec::new();
        while let Some(part) = download.next_part().await? {
            paths.push(download.materialise(part).await?);
        }
        Ok(paths)
    }
}
