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
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::{pread, pwrite};

/// Bytes of one slot: what one read or write moves.
pub(crate) const SLOT: usize = 1 << 20;
/// Slots of one call.
pub(crate) const SLOTS: u32 = 12;

/// The slots of one call. Clones share.
#[derive(Debug, Clone)]
pub(crate) struct Arena(Arc<OwnedFd>);

impl Arena {
    /// Makes one. It takes memory only where it was written to.
    pub(crate) fn create() -> io::Result<Self> {
        let file = memfd_create("posemesh-arena", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, u64::from(SLOTS) * SLOT as u64)?;
        // Neither side can make it larger, which would take memory, or smaller under the other's hands.
        fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        Ok(Self(Arc::new(file)))
    }

    /// Takes one that was made by the other side.
    pub(crate) fn of(file: OwnedFd) -> Self {
        Self(Arc::new(file))
    }

    /// To be handed to the other side.
    pub(crate) fn file(&self) -> &OwnedFd {
        &self.0
    }

    /// Copies bytes into a slot.
    ///
    /// # Errors
    /// When there is no such slot or they do not fit.
    pub(crate) fn put(&self, slot: u32, mut bytes: &[u8]) -> io::Result<()> {
        let mut at = place(slot, bytes.len())?;
        while !bytes.is_empty() {
            let written = pwrite(&*self.0, bytes, at)?;
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
        let at = place(slot, length)?;
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let from = at + bytes.len() as u64;
            // The vector may have more room than was asked for; what is beyond belongs to the next slot.
            if pread(&*self.0, spare_capacity(&mut bytes), from)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        bytes.truncate(length);
        Ok(bytes.into())
    }
}

/// Where a slot begins.
fn place(slot: u32, length: usize) -> io::Result<u64> {
    if slot >= SLOTS || length > SLOT {
        let what = format!("slot {slot} with {length} bytes: there are {SLOTS} of {SLOT} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    Ok(u64::from(slot) * SLOT as u64)
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
