//! The memory that a call shares with its node for bulk bytes: slots of a sealed memory file.
//!
//! The node copies out of it before it looks at a byte, so that the process can change nothing afterwards. It reads and
//! writes by system calls rather than by a mapping: a copy costs the same, and nothing has to be trusted about memory that
//! another process writes to. The process may trust the node, and reads where the bytes lie (`guest::mapped`).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fstat, ftruncate, memfd_create,
};
use rustix::io::{Errno, pread, pwrite};

use crate::sandbox::buffers::{Buffers, WHOLE};

/// Bytes of one slot: what one read or write moves.
pub(crate) const SLOT: usize = WHOLE;
/// Slots of one call. Where files may not be so large (`ulimit -f`) there are fewer, and a call only waits more.
pub(crate) const SLOTS: u32 = 23;
const FEWER: [u32; 4] = [SLOTS, SLOTS / 2, SLOTS / 4, 1];

/// The slots of one call. Clones share.
#[derive(Debug, Clone)]
pub(crate) struct Arena {
    file: Arc<OwnedFd>,
    slots: u32,
    /// Somebody on this side has read or written there.
    touched: Arc<AtomicBool>,
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
        Ok(Self { file: Arc::new(file), slots, touched: Arc::default() })
    }

    /// Takes one that was made by the node.
    pub(crate) fn of(file: OwnedFd) -> io::Result<Self> {
        let slots = u64::try_from(fstat(&file)?.st_size).unwrap_or_default() / SLOT as u64;
        Ok(Self {
            file: Arc::new(file),
            slots: u32::try_from(slots).unwrap_or(SLOTS),
            touched: Arc::default(),
        })
    }

    /// How many slots there are: at least one.
    pub(crate) fn slots(&self) -> u32 {
        self.slots
    }

    /// To be handed to the other side.
    pub(crate) fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// Copies bytes into a slot, from this offset on.
    ///
    /// # Errors
    /// When there is no such slot or they do not fit.
    pub(crate) fn put(&self, slot: u32, offset: usize, mut bytes: &[u8]) -> io::Result<()> {
        let mut at = self.place(slot, offset.saturating_add(bytes.len()))? + offset as u64;
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
    pub(crate) fn get(&self, slot: u32, length: usize, buffers: &Buffers) -> io::Result<Bytes> {
        let at = self.place(slot, length)?;
        buffers.filled(length, |bytes| {
            let mut done = 0;
            while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
                match pread(&*self.file, rest, at + done as u64)? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    read => done += read,
                }
            }
            Ok(())
        })
    }

    /// Where a slot begins.
    fn place(&self, slot: u32, length: usize) -> io::Result<u64> {
        if slot >= self.slots || length > SLOT {
            let what = format!("slot {slot} with {length} bytes: there are {} of {SLOT} bytes", self.slots);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        self.touched.store(true, Ordering::Relaxed);
        Ok(u64::from(slot) * SLOT as u64)
    }

    /// Gives back the memory that it takes, for its next use: all bytes are zero then.
    ///
    /// # Errors
    /// What the system says; it is not to be used again then.
    pub(crate) fn clear(&self) -> io::Result<()> {
        if self.touched.swap(false, Ordering::Relaxed) {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(&*self.file, flags, 0, u64::from(self.slots) * SLOT as u64)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_apart_and_nothing_lies_beyond_them() {
        let arena = Arena::create().unwrap();
        let buffers = Buffers::default();
        let get = |slot, length| arena.get(slot, length, &buffers);
        arena.put(0, 0, &vec![1; SLOT]).unwrap();
        arena.put(1, 0, b"sec").unwrap();
        arena.put(1, 3, b"ond").unwrap();
        assert_eq!(get(1, 6).unwrap(), "second");
        let first = get(0, SLOT).unwrap();
        assert!(first.len() == SLOT && first.iter().all(|byte| *byte == 1));
        for (slot, length) in [(SLOTS, 1), (u32::MAX, 1), (0, SLOT + 1)] {
            assert!(get(slot, length).is_err() && arena.put(slot, 0, &vec![0; length]).is_err());
            assert!(arena.put(slot, SLOT, &[0]).is_err() && arena.put(slot, usize::MAX, &[0]).is_err());
        }
        arena.clear().unwrap();
        assert_eq!(get(1, 6).unwrap(), vec![0; 6], "nothing is left of its last use");
        assert!(ftruncate(arena.file(), 1).is_err() && ftruncate(arena.file(), 1 << 40).is_err());
    }
}
