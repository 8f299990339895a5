//! A file for bytes that can't wait in memory.

use std::fmt::Display;
use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use posemesh_runner_api::disk::TaskDisk;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::api::error::DomainError;
use crate::api::payload::Content;

/// A file in the task's directory that has no name: nobody else can open it, and it is gone with its last handle,
/// however the process ends.
#[derive(Debug)]
pub(super) struct SpoolFile {
    file: Arc<File>,
    disk: TaskDisk,
    size: u64,
}

impl SpoolFile {
    pub(super) async fn create(disk: &TaskDisk) -> Result<Self, DomainError> {
        let dir = disk.clone();
        let created = spawn_blocking(move || tempfile::tempfile_in(dir.folder()?)).await;
        let file = created.map_err(failed)?.map_err(failed)?;
        Ok(Self { file: Arc::new(file), disk: disk.clone(), size: 0 })
    }

    /// Appends all blocks, or none if the task's disk budget has no room for them that leaves `left` bytes.
    pub(super) async fn write(&mut self, blocks: Vec<Bytes>, left: u64) -> Result<(), DomainError> {
        let bytes = blocks.iter().map(|block| block.len() as u64).sum();
        // Reserved before writing, so that the task never holds more of the disk than it has paid for.
        self.disk.reserve_leaving(bytes, left)?;
        // Counted even if the write fails: the reservation was made, and `drop` gives back exactly this size.
        self.size += bytes;
        let file = Arc::clone(&self.file);
        let write = move || blocks.iter().try_for_each(|block| (&*file).write_all(block));
        spawn_blocking(write).await.map_err(failed)?.map_err(failed)
    }

    /// What was written so far.
    pub(super) fn content(&self) -> Content {
        Content::File { file: Arc::clone(&self.file), size: self.size }
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        self.disk.release(self.size);
        // Closing a large file frees its blocks, which takes a while.
        if let Ok(runtime) = Handle::try_current() {
            let file = Arc::clone(&self.file);
            runtime.spawn_blocking(move || drop(file));
        }
    }
}

fn failed(error: impl Display) -> DomainError {
    DomainError::Spool(error.to_string())
}
