//! What all uploads of a task share: parts in flight, memory, and room in the task's directory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use posemesh_runner_api::disk::TaskDisk;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::error::DomainError;
use crate::upload::settings::UploadSettings;

/// Bytes of the largest block that bytes wait in.
pub(super) const LARGEST: usize = 256 << 10;
/// Bytes that one permit of the memory budget stands for.
const PERMIT_BYTES: usize = 1 << 10;

/// The upload budget of one task.
#[derive(Debug)]
pub(crate) struct UploadBudget {
    parallelism: usize,
    memory_bytes: u64,
    max_open_artifacts: usize,
    part_slots: Arc<Semaphore>,
    open_artifacts: Arc<Semaphore>,
    memory: MemoryBudget,
    disk: TaskDisk,
}

impl UploadBudget {
    pub(crate) fn new(settings: &UploadSettings, disk: TaskDisk) -> Self {
        Self {
            parallelism: settings.parallelism,
            memory_bytes: settings.memory_bytes as u64,
            max_open_artifacts: settings.max_open_artifacts,
            part_slots: Arc::new(Semaphore::new(settings.parallelism)),
            open_artifacts: Arc::new(Semaphore::new(settings.max_open_artifacts)),
            memory: MemoryBudget::new(settings.memory_bytes),
            disk,
        }
    }

    /// Reserves a place among the open artifacts.
    ///
    /// # Errors
    /// [`DomainError::Limit`] when none is free.
    pub(crate) fn open_artifact(&self) -> Result<OwnedSemaphorePermit, DomainError> {
        Arc::clone(&self.open_artifacts).try_acquire_owned().map_err(|_| {
            DomainError::Limit(format!(
                "a task may have {} artifacts open; finish or close one before the next",
                self.max_open_artifacts
            ))
        })
    }

    /// Parts that may be in flight at the same time.
    pub(super) fn parallelism(&self) -> usize {
        self.parallelism
    }

    /// Waits for a slot for a part. Other artifacts of the task may be using the slots; their parts end by themselves.
    pub(super) async fn part_slot(&self) -> Result<OwnedSemaphorePermit, DomainError> {
        Arc::clone(&self.part_slots).acquire_owned().await.map_err(|_| DomainError::Cancelled)
    }

    /// Whether a part of any artifact of the task is in flight.
    pub(super) fn has_parts_in_flight(&self) -> bool {
        self.part_slots.available_permits() < self.parallelism
    }

    /// Whether parts of this size fit into memory: one that is being filled while the others are in flight.
    pub(super) fn fits_memory(&self, part_size: u64) -> bool {
        // The part size is the server's word, so the product must not overflow.
        part_size.saturating_mul(self.parallelism as u64 + 1) <= self.memory_bytes
    }

    pub(super) fn memory(&self) -> &MemoryBudget {
        &self.memory
    }

    pub(super) fn disk(&self) -> &TaskDisk {
        &self.disk
    }
}

/// The memory that may wait to be sent. Nobody waits for memory: who gets none writes to disk.
#[derive(Debug)]
pub(super) struct MemoryBudget {
    free: Arc<Semaphore>,
    /// Blocks of what was sent, with their share of the budget. Getting memory from the system for each part, and giving it
    /// back, costs as much as filling it.
    kept: Mutex<Vec<(BytesMut, OwnedSemaphorePermit)>>,
}

impl MemoryBudget {
    pub(super) fn new(bytes: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(bytes / PERMIT_BYTES)), kept: Mutex::default() }
    }

    /// An empty block of so many bytes, a multiple of 1 KiB, with its share of the budget, if there are so many left.
    pub(super) fn block(&self, bytes: usize) -> Option<(BytesMut, OwnedSemaphorePermit)> {
        {
            let mut kept = self.kept();
            if let Some(place) = kept.iter().position(|(block, _)| block.capacity() == bytes) {
                return Some(kept.swap_remove(place));
            }
        }
        let permits = permits(bytes);
        let reserve = || Arc::clone(&self.free).try_acquire_many_owned(permits).ok();
        let reserved = reserve().or_else(|| {
            // Blocks of another size may hold what is wanted.
            self.kept().clear();
            reserve()
        })?;
        Some((BytesMut::with_capacity(bytes), reserved))
    }

    /// Takes blocks back whose bytes were sent, for the next ones; all of them together have this share of the budget.
    pub(super) fn keep(&self, blocks: Vec<Bytes>, mut reserved: OwnedSemaphorePermit) {
        for block in blocks {
            // Somebody may still have the bytes.
            let Ok(mut block) = block.try_into_mut() else { continue };
            block.clear();
            if block.capacity() == LARGEST
                && let Some(its) = reserved.split(permits(LARGEST) as usize)
            {
                self.kept().push((block, its));
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(BytesMut, OwnedSemaphorePermit)>> {
        // Nothing panics while the lock is held; if something did, the list is still whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn available_bytes(&self) -> usize {
        self.free.available_permits() * PERMIT_BYTES
    }
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes / PERMIT_BYTES).unwrap_or(u32::MAX)
}
