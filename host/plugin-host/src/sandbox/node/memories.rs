//! The memory that the calls of one process share with the node. It is kept from call to call: making it and handing it
//! over costs more than a small task does.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sandbox::arena::Arena;
use crate::sandbox::shared_disk::SharedDisk;
use crate::sandbox::wire::MemoryId;

/// Descriptors of one memory, on either side.
pub(super) const DESCRIPTORS: u64 = 2;

/// The memories of one process.
#[derive(Debug, Default)]
pub(super) struct Memories(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    free: Vec<Memory>,
    made: MemoryId,
}

#[derive(Debug)]
struct Memory {
    id: MemoryId,
    arena: Arena,
    page: Arc<OwnedFd>,
}

/// The memory of one call; whoever has it gives it back when the call has ended, and the process knows that.
#[derive(Debug)]
pub(super) struct CallMemory {
    memory: Memory,
    /// The process does not have it yet.
    pub(super) is_new: bool,
}

impl CallMemory {
    /// Its number.
    pub(super) fn id(&self) -> MemoryId {
        self.memory.id
    }

    pub(super) fn arena(&self) -> &Arena {
        &self.memory.arena
    }

    pub(super) fn page(&self) -> &OwnedFd {
        &self.memory.page
    }
}

impl Memories {
    /// Memory for a call, and the node's side of its page.
    ///
    /// # Errors
    /// When there is none left.
    pub(super) fn take(&self) -> io::Result<(CallMemory, SharedDisk)> {
        let free = self.shelf().free.pop();
        if let Some(memory) = free {
            let page = SharedDisk::again(memory.page.clone())?;
            return Ok((CallMemory { memory, is_new: false }, page));
        }
        let (arena, page) = (Arena::create()?, SharedDisk::create()?);
        let mut shelf = self.shelf();
        shelf.made += 1;
        let memory = Memory { id: shelf.made, arena, page: page.page() };
        Ok((CallMemory { memory, is_new: true }, page))
    }

    /// Takes the memory of a call that has ended, on this side and in the process.
    pub(super) fn give_back(&self, call: CallMemory) {
        // One that can't be cleared is not used again.
        if call.memory.arena.clear().is_ok() {
            self.shelf().free.push(call.memory);
        }
    }

    /// How many the process has.
    pub(super) fn made(&self) -> u64 {
        u64::from(self.shelf().made)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
