//! Bytes of an artifact that wait to be sent: in memory as long as the task's share of it lasts, then in a file.
//!
//! A runner can have many artifacts open, and write a byte at a time or 8 MiB; a server can ask for parts of any
//! size. Whatever they do, all buffers of a task together have one budget of memory and one of disk.

use std::sync::Arc;

use bytes::Bytes;

use crate::api::error::DomainError;
use crate::api::payload::Content;
use crate::upload::blocks::MemoryBlocks;
use crate::upload::budget::{LARGEST, UploadBudget};
use crate::upload::spool::SpoolFile;

/// A buffer. It pays for the memory and the disk that its content takes, so it has to outlive the content.
pub(super) struct UploadBuffer {
    budget: Arc<UploadBudget>,
    /// All bytes, or those that the file has not got yet.
    blocks: MemoryBlocks,
    file: Option<SpoolFile>,
    prefers_disk: bool,
    /// Bytes of the disk budget that this buffer must leave to others.
    disk_left_to_others: u64,
    size: u64,
}

impl UploadBuffer {
    /// An empty buffer that takes memory while there is some.
    pub(super) fn in_memory(budget: &Arc<UploadBudget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            blocks: MemoryBlocks::default(),
            file: None,
            prefers_disk: false,
            disk_left_to_others: 0,
            size: 0,
        }
    }

    /// An empty buffer that goes to disk as it fills.
    pub(super) fn on_disk(budget: &Arc<UploadBudget>) -> Self {
        let mut buffer = Self::in_memory(budget);
        buffer.prefers_disk = true;
        buffer
    }

    /// From now on the buffer leaves so many bytes of the disk budget to others.
    pub(super) fn leave_disk_to_others(&mut self, bytes: u64) {
        self.disk_left_to_others = bytes;
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Appends bytes. What was appended is removed from `bytes`, also when it fails.
    ///
    /// # Errors
    /// [`DomainError::Disk`] when neither memory nor the disk budget has room: it can be tried again when others
    /// have released some.
    pub(super) async fn push(&mut self, bytes: &mut Bytes) -> Result<(), DomainError> {
        let most = if self.prefers_disk { LARGEST } else { usize::MAX };
        let before = bytes.len();
        // A large piece for a buffer that goes to disk anyway is not copied into memory first.
        if before < most {
            self.blocks.take(bytes, most, self.budget.memory());
            self.size += (before - bytes.len()) as u64;
        }
        if bytes.is_empty() {
            return Ok(());
        }
        // From here on memory only gathers small writes into larger ones for the file.
        self.prefers_disk = true;
        // A clone, so that the caller still has the bytes for another try when there is no room.
        self.write_to_file(bytes.clone()).await?;
        self.size += bytes.len() as u64;
        bytes.clear();
        Ok(())
    }

    /// All bytes that were appended.
    ///
    /// # Errors
    /// As [`UploadBuffer::push`].
    pub(super) async fn content(&mut self) -> Result<Content, DomainError> {
        if self.file.is_some() {
            self.write_to_file(Bytes::new()).await?;
        }
        Ok(match &self.file {
            Some(file) => file.content(),
            None => Content::Memory(self.blocks.all()),
        })
    }

    /// Writes what is in memory and then `rest` to the file. Without room for all of it, everything stays as it is.
    async fn write_to_file(&mut self, rest: Bytes) -> Result<(), DomainError> {
        let mut blocks = self.blocks.all();
        blocks.push(rest);
        match &mut self.file {
            Some(file) => file.write(blocks, self.disk_left_to_others).await?,
            None => {
                let mut file = SpoolFile::create(self.budget.disk()).await?;
                file.write(blocks, self.disk_left_to_others).await?;
                self.file = Some(file);
            }
        }
        self.blocks = MemoryBlocks::default();
        Ok(())
    }
}

impl Drop for UploadBuffer {
    fn drop(&mut self) {
        std::mem::take(&mut self.blocks).give_back(self.budget.memory());
    }
}
