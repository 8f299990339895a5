//! What all uploads of a task share: parts in flight, memory, and room in the task's directory.

use std::sync::Arc;

use posemesh_runner_api::disk::TaskDisk;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::error::DomainError;
use crate::upload::settings::UploadSettings;

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
pub(super) struct MemoryBudget(Arc<Semaphore>);

impl MemoryBudget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / PERMIT_BYTES)))
    }

    /// Reserves so many bytes, a multiple of 1 KiB, if there are so many left. They are released with the permit.
    pub(super) fn reserve(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes / PERMIT_BYTES).unwrap_or(u32::MAX);
        Arc::clone(&self.0).try_acquire_many_owned(permits).ok()
    }

    #[cfg(test)]
    pub(super) fn available_bytes(&self) -> usize {
        self.0.available_permits() * PERMIT_BYTES
    }
}
