//! The memory that a call shares with its node for bulk bytes: slots of a sealed memory file.
//!
//! Both sides copy out of it before they look at a byte, so that the other can change nothing afterwards. It is read
//! and written by system calls rather than mapped: a copy costs the same, and nothing has to be trusted about memory
//! that another process writes to.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, ftruncate, memfd_create};
use rustix::io::{Errno, pread, pwrite};

/// Bytes of one slot: what one read or write moves.
pub(crate) const SLOT: usize = 1 << 20;
/// Slots of one call. Where files may not be so large (`ulimit -f`) there are fewer, and a call only waits more.
pub(crate) const SLOTS: u32 = 12;
const FEWER: [u32; 4] = [SLOTS, SLOTS / 2, SLOTS / 4, 1];

/// The slots of one call. Clones share.
#[derive(Debug, Clone)]
pub(crate) struct Arena {
    file: Arc<OwnedFd>,
    slots: u32,
}

impl Arena {
    /// Makes one. It takes memory only where it was written to.
    pub(crate) fn create() -> io::Result<Self> {
        let file = memfd_create("posemesh-arena", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut made = Err(Errno::FBIG);
        for slots in FEWER {
            made = ftruncate(&file, u64::from(slots) * SLOT as u64).map(|()| slots);
            if made != Err(Errno::FBIG) {
                break;
            }
        }
        let slots = made?;
        // Neither side can make it larger, which would take memory, or smaller under the other's hands.
        fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        Ok(Self { file: Arc::new(file), slots })
    }

    /// Takes one that was made by the node.
    pub(crate) fn of(file: OwnedFd) -> io::Result<Self> {
        let slots = u64::try_from(fstat(&file)?.st_size).unwrap_or_default() / SLOT as u64;
        Ok(Self { file: Arc::new(file), slots: u32::try_from(slots).unwrap_or(SLOTS) })
    }

    /// How many slots there are: at least one.
    pub(crate) fn slots(&self) -> u32 {
        self.slots
    }

    /// To be handed to the other side.
    pub(crate) fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// Copies bytes into a slot.
    ///
    /// # Errors
    /// When there is no such slot or they do not fit.
    pub(crate) fn put(&self, slot: u32, mut bytes: &[u8]) -> io::Result<()> {
        let mut at = self.place(slot, bytes.len())?;
        while !bytes.is_empty() {
            let written = pwrite(&*self.file, bytes, at)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            at += written as u64;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Copies the first bytes out of a slot.
    ///
    /// # Errors
    /// When there is no such slot or it is smaller.
    pub(crate) fn get(&self, slot: u32, length: usize) -> io::Result<Bytes> {
        let at = self.place(slot, length)?;
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let from = at + bytes.len() as u64;
            // The vector may have more room than was asked for; what is beyond belongs to the next slot.
            if pread(&*self.file, spare_capacity(&mut bytes), from)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        bytes.truncate(length);
        Ok(bytes.into())
    }

    /// Where a slot begins.
    fn place(&self, slot: u32, length: usize) -> io::Result<u64> {
        if slot >= self.slots || length > SLOT {
            let what = format!("slot {slot} with {length} bytes: there are {} of {SLOT} bytes", self.slots);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        Ok(u64::from(slot) * SLOT as u64)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_apart_and_nothing_lies_beyond_them() {
        let arena = Arena::create().unwrap();
        arena.put(0, &vec![1; SLOT]).unwrap();
        arena.put(1, b"second").unwrap();
        assert_eq!(arena.get(1, 6).unwrap(), "second");
        let first = arena.get(0, SLOT).unwrap();
        assert!(first.len() == SLOT && first.iter().all(|byte| *byte == 1));
        for (slot, length) in [(SLOTS, 1), (u32::MAX, 1), (0, SLOT + 1)] {
            assert!(arena.get(slot, length).is_err() && arena.put(slot, &vec![0; length]).is_err());
        }
        assert!(ftruncate(arena.file(), 1).is_err() && ftruncate(arena.file(), 1 << 40).is_err());
    }
}
