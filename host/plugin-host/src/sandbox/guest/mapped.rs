//! The arena of a call as its sandbox process reads it: mapped, so that a chunk is copied once, from its slot into the
//! guest's memory. One of the three places where the project says `unsafe`.
//!
//! The node does not do this: what a process could write to while it is looked at, the node copies out first (`arena`).

use std::io;
use std::os::fd::OwnedFd;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{SealFlags, fcntl_get_seals, fstat};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use tokio::sync::OwnedSemaphorePermit;

use crate::sandbox::arena::SLOT;
use crate::sandbox::guest::slots::Slot;

/// An arena that can be read without a copy.
#[derive(Debug)]
pub(crate) struct MappedArena {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory belongs to this value alone until it is unmapped, and nothing here writes to it.
#[allow(unsafe_code, reason = "a pointer says nothing of itself; see above")]
unsafe impl Send for MappedArena {}
// SAFETY: as above: everybody only reads.
#[allow(unsafe_code, reason = "a pointer says nothing of itself; see above")]
unsafe impl Sync for MappedArena {}

impl MappedArena {
    /// Maps the arena that the node has made.
    ///
    /// # Errors
    /// When it could be made smaller, or there is no room for it.
    #[allow(unsafe_code, reason = "there is no safe call for it; see below")]
    pub(crate) fn of(file: &OwnedFd) -> io::Result<Arc<Self>> {
        if !fcntl_get_seals(file)?.contains(SealFlags::SHRINK) {
            return Err(io::Error::other("the file of the arena is not sealed"));
        }
        let length = usize::try_from(fstat(file)?.st_size).unwrap_or_default();
        // SAFETY: a new mapping at a place that the kernel chooses touches nothing that is there.
        let start = unsafe { mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at zero"))?;
        Ok(Arc::new(Self { start, length }))
    }

    /// The first bytes of a slot, which is free again when nobody has them any more. None when there are not so many.
    pub(crate) fn lend(
        self: &Arc<Self>,
        slot: Slot,
        length: usize,
        permit: OwnedSemaphorePermit,
    ) -> Option<Bytes> {
        let at = (slot.number as usize).checked_mul(SLOT)?;
        let fits = length <= SLOT && at.checked_add(length)? <= self.length;
        fits.then(|| {
            Bytes::from_owner(Lent { arena: self.clone(), at, length, _slot: slot, _permit: permit })
        })
    }
}

impl Drop for MappedArena {
    #[allow(unsafe_code, reason = "there is no safe call for it; see below")]
    fn drop(&mut self) {
        // SAFETY: mapped by `of` with this length, and whoever was lent some of it held this value.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert!(unmapped.is_ok(), "unmapping what was mapped");
    }
}

/// Bytes of a slot, and the slot.
struct Lent {
    arena: Arc<MappedArena>,
    at: usize,
    length: usize,
    _slot: Slot,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Lent {
    #[allow(unsafe_code, reason = "there is no safe call for it; see below")]
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `lend` has seen that the bytes lie within the mapping, which lives as long as `arena`. The file can't
        // shrink. Nobody writes there: this process never does, and the node only for an ask that names the slot, which
        // nothing else of the call can name while `_slot` is here; no bytes outlive their call, whose memory the next one has
        // (`CallLink::ask_read`).
        unsafe { std::slice::from_raw_parts(self.arena.start.as_ptr().add(self.at), self.length) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;
    use crate::sandbox::arena::{Arena, SLOTS};
    use crate::sandbox::guest::slots::Slots;

    fn permit() -> OwnedSemaphorePermit {
        Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap()
    }

    #[tokio::test]
    async fn bytes_are_those_of_the_slot_and_outlive_the_arena() {
        let arena = Arena::create().unwrap();
        let mapped = MappedArena::of(arena.file()).unwrap();
        let slots = Slots::new(SLOTS);
        let (first, second) = (slots.take().await.unwrap(), slots.take().await.unwrap());
        arena.put(first.number, 0, b"first").unwrap();
        arena.put(second.number, 0, &vec![2; SLOT]).unwrap();
        let first = mapped.lend(first, 5, permit()).unwrap();
        let second = mapped.lend(second, SLOT, permit()).unwrap();
        drop((arena, mapped));
        assert_eq!(first, "first");
        assert!(second.len() == SLOT && second.iter().all(|byte| *byte == 2));
    }

    #[tokio::test]
    async fn nothing_beyond_a_slot_or_the_arena_is_lent() {
        let mapped = MappedArena::of(Arena::create().unwrap().file()).unwrap();
        let slots = Slots::new(SLOTS + 1);
        let mut taken = Vec::new();
        for _ in 0..=SLOTS {
            taken.push(slots.take().await.unwrap());
        }
        for slot in taken {
            let beyond = slot.number == SLOTS;
            assert_eq!(mapped.lend(slot, 1, permit()).is_none(), beyond);
        }
        assert!(mapped.lend(slots.take().await.unwrap(), SLOT + 1, permit()).is_none());
    }

    #[test]
    fn an_arena_that_could_shrink_is_not_mapped() {
        let file = rustix::fs::memfd_create("loose", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&file, 4096).unwrap();
        MappedArena::of(&file).unwrap_err();
    }
}
