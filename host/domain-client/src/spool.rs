//! A file for bytes that can't wait in memory.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::error::StorageError;
use posemesh_runner_api::disk::TaskDisk;

/// A file in the task's directory that has no name: nobody else can open it, and it is gone with its
/// last handle, however the process ends.
#[derive(Debug)]
pub(super) struct Spool {
    file: Arc<File>,
    disk: TaskDisk,
    size: u64,
}

impl Spool {
    /// An empty one.
    pub async fn create(disk: &TaskDisk) -> Result<Self, StorageError> {
        let dir = disk.path().to_owned();
        let made = spawn_blocking(move || tempfile::tempfile_in(dir)).await;
        let file = made.map_err(failed)?.map_err(failed)?;
        Ok(Self { file: Arc::new(file), disk: disk.clone(), size: 0 })
    }

    /// Appends all of them, or none if the task's disk budget has no room for them that leaves `left` bytes.
    pub async fn write(&mut self, all: Vec<Bytes>, left: u64) -> Result<(), StorageError> {
        let bytes = all.iter().map(|bytes| bytes.len() as u64).sum();
        self.disk.take_and_leave(bytes, left)?;
        self.size += bytes;
        let file = Arc::clone(&self.file);
        let write = move || all.iter().try_for_each(|bytes| (&*file).write_all(bytes));
        spawn_blocking(write).await.map_err(failed)?.map_err(failed)
    }

    /// The file, to be read at offsets.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Bytes that were written.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.disk.give_back(self.size);
        // Closing a large file frees its blocks, which takes a while.
        if let Ok(runtime) = Handle::try_current() {
            let file = Arc::clone(&self.file);
            runtime.spawn_blocking(move || drop(file));
        }
    }
}

fn failed(error: impl std::fmt::Display) -> StorageError {
    StorageError::Spool(error.to_string())
}
