//! Bytes of an artifact that wait to be sent: in memory as long as the task's share of it lasts, then in a
//! file.
//!
//! A runner can have many artifacts open, and write a byte at a time or 8 MiB; a server can ask for parts of
//! any size. Whatever they do, all buffers of a task together have one budget of memory
//! ([`StorageSettings::upload_memory`](super::StorageSettings)) and one of disk
//! ([`TaskDisk`](posemesh_runner_api::disk::TaskDisk)). Nobody waits for memory: who gets none writes to disk.

use std::fs::File;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::access::Access;
use super::error::StorageError;
use super::spool::Spool;

/// The first block of memory; each further one is twice as large, so that small artifacts cost little.
const SMALLEST: usize = 4 << 10;
/// The largest block, and what is collected before it is written to a file.
const LARGEST: usize = 256 << 10;
/// What one permit of [`Access::upload_memory`] stands for.
pub(super) const PERMIT: usize = 1 << 10;

pub(super) struct Buffer {
    access: Arc<Access>,
    /// What is in memory: all of it, or what the file has not got yet.
    blocks: Blocks,
    spool: Option<Spool>,
    on_disk: bool,
    /// Bytes of the disk budget that it leaves to others.
    leaves: u64,
    size: u64,
}

/// Bytes that can be read again and again. The buffer that they come from has to outlive it.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// These, one after the other.
    Memory(Vec<Bytes>),
    /// The first `size` bytes of a file that is only appended to.
    File { file: Arc<File>, size: u64 },
}

impl Source {
    pub fn size(&self) -> u64 {
        match self {
            Self::Memory(all) => all.iter().map(|bytes| bytes.len() as u64).sum(),
            Self::File { size, .. } => *size,
        }
    }
}

impl Buffer {
    /// An empty one that takes memory while there is some.
    pub fn in_memory(access: &Arc<Access>) -> Self {
        let (access, blocks) = (Arc::clone(access), Blocks::default());
        Self { access, blocks, spool: None, on_disk: false, leaves: 0, size: 0 }
    }

    /// An empty one that goes to disk as it fills.
    pub fn on_disk(access: &Arc<Access>) -> Self {
        Self { on_disk: true, ..Self::in_memory(access) }
    }

    /// From now on it leaves so many bytes of the disk budget to others.
    pub fn leave(&mut self, bytes: u64) {
        self.leaves = bytes;
    }

    /// Bytes in it.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends bytes. What it took is gone from `bytes`, also after an error.
    ///
    /// # Errors
    /// [`StorageError::Disk`] when neither memory nor the disk budget has room: it can be tried again when
    /// others gave some back.
    pub async fn push(&mut self, bytes: &mut Bytes) -> Result<(), StorageError> {
        let most = if self.on_disk { LARGEST } else { usize::MAX };
        let before = bytes.len();
        if before < most {
            self.blocks.take(bytes, most, &self.access.upload_memory);
            self.size += (before - bytes.len()) as u64;
        }
        if bytes.is_empty() {
            return Ok(());
        }
        self.on_disk = true;
        let rest = bytes.clone();
        self.write_out(rest).await?;
        self.size += bytes.len() as u64;
        bytes.clear();
        Ok(())
    }

    /// What is in it now.
    ///
    /// # Errors
    /// As [`Buffer::push`].
    pub async fn source(&mut self) -> Result<Source, StorageError> {
        if self.spool.is_some() {
            self.write_out(Bytes::new()).await?;
        }
        Ok(match &self.spool {
            Some(spool) => Source::File { file: Arc::clone(spool.file()), size: spool.size() },
            None => Source::Memory(self.blocks.all()),
        })
    }

    /// Writes what is in memory and then `rest` to the file. Without room for it, all stays as it is.
    async fn write_out(&mut self, rest: Bytes) -> Result<(), StorageError> {
        let mut all = self.blocks.all();
        all.push(rest);
        match &mut self.spool {
            Some(spool) => spool.write(all, self.leaves).await?,
            None => {
                let mut spool = Spool::create(&self.access.lease.disk).await?;
                spool.write(all, self.leaves).await?;
                self.spool = Some(spool);
            }
        }
        self.blocks = Blocks::default();
        Ok(())
    }
}

/// Memory that is paid for.
#[derive(Default)]
struct Blocks {
    full: Vec<Bytes>,
    last: BytesMut,
    size: usize,
    paid: Option<OwnedSemaphorePermit>,
}

impl Blocks {
    /// Copies from the start of `bytes` until they are used up, `most` bytes are here or memory is.
    fn take(&mut self, bytes: &mut Bytes, most: usize, memory: &Arc<Semaphore>) {
        while !bytes.is_empty() && self.size < most {
            if self.last.len() == self.last.capacity() && !self.grow(memory) {
                return;
            }
            let room = (self.last.capacity() - self.last.len()).min(most - self.size);
            let piece = bytes.split_to(room.min(bytes.len()));
            self.last.extend_from_slice(&piece);
            self.size += piece.len();
        }
    }

    /// Begins another block, if there is memory for it.
    fn grow(&mut self, memory: &Arc<Semaphore>) -> bool {
        let bytes = (SMALLEST << self.full.len().min(16)).min(LARGEST);
        let permits = u32::try_from(bytes / PERMIT).unwrap_or(u32::MAX);
        let Ok(paid) = Arc::clone(memory).try_acquire_many_owned(permits) else { return false };
        match &mut self.paid {
            Some(all) => all.merge(paid),
            None => self.paid = Some(paid),
        }
        let full = std::mem::replace(&mut self.last, BytesMut::with_capacity(bytes));
        self.full.push(full.freeze());
        true
    }

    /// All bytes, without copying them.
    fn all(&mut self) -> Vec<Bytes> {
        let last = self.last.split().freeze();
        self.full.push(last);
        self.full.iter().filter(|bytes| !bytes.is_empty()).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_taken_in_growing_blocks_and_given_back_at_the_end() {
        let memory = Arc::new(Semaphore::new(20));
        let mut blocks = Blocks::default();
        let mut bytes = Bytes::from(vec![7; 30 << 10]);
        blocks.take(&mut bytes, usize::MAX, &memory);
        assert_eq!((blocks.size, memory.available_permits()), (12 << 10, 8), "4 and 8 KiB, but not 16");
        assert_eq!(bytes.len(), 18 << 10);
        let all = blocks.all();
        assert_eq!(all.iter().map(Bytes::len).sum::<usize>(), 12 << 10);
        assert_eq!(blocks.all(), all, "as often as one likes");
        drop(blocks);
        assert_eq!(memory.available_permits(), 20);
    }

    #[test]
    fn a_half_full_block_is_filled_on_after_a_look() {
        let memory = Arc::new(Semaphore::new(4));
        let mut blocks = Blocks::default();
        for n in 0..4096_u16 {
            blocks.take(&mut Bytes::copy_from_slice(&n.to_le_bytes()[..1]), usize::MAX, &memory);
            if n % 1000 == 0 {
                blocks.all();
            }
        }
        let want: Vec<u8> = (0..4096_u16).map(|n| n.to_le_bytes()[0]).collect();
        assert_eq!(blocks.all().concat(), want);
        let mut more = Bytes::from_static(b"x");
        blocks.take(&mut more, usize::MAX, &memory);
        assert_eq!(more, "x", "there is no memory left");
    }
}
