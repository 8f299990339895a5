//! One budget of a task's directory for two processes: a page on which each writes what it has taken. On it the process
//! notes too that it has begun with the task: of one that has died, nothing else tells.
//!
//! Neither can spend more than the whole budget by what the other writes there.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use posemesh_runner_api::disk::DiskPeer;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::{pread, pwrite};

const WORD: u64 = 8;
/// What each side has taken, and whether the process has begun.
const WORDS: u64 = 3;
const BEGUN: u64 = 2 * WORD;

/// Whose side of the page this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Node,
    Guest,
}

/// One side of the page.
#[derive(Debug)]
pub(crate) struct SharedDisk {
    page: Arc<OwnedFd>,
    side: Side,
}

impl SharedDisk {
    /// The node's side of a new page.
    pub(crate) fn create() -> io::Result<Self> {
        let page = memfd_create("posemesh-disk", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&page, WORDS * WORD)?;
        fcntl_add_seals(&page, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        Ok(Self { page: Arc::new(page), side: Side::Node })
    }

    /// The node's side of a page that a call has used before. Nothing is taken on either side, and nothing has begun.
    pub(crate) fn again(page: Arc<OwnedFd>) -> io::Result<Self> {
        pwrite(&*page, &[0; (WORDS * WORD) as usize], 0)?;
        Ok(Self { page, side: Side::Node })
    }

    /// The guest's side of a page that the node has made.
    pub(crate) fn of(page: Arc<OwnedFd>) -> Self {
        Self { page, side: Side::Guest }
    }

    /// Notes that the process begins with the call.
    pub(crate) fn begin(&self) {
        let _ = pwrite(&*self.page, &[1], BEGUN);
    }

    /// Whether the process says that it has begun with the call.
    pub(crate) fn has_begun(&self) -> bool {
        let mut begun = [0];
        !matches!(pread(&*self.page, &mut begun[..], BEGUN), Ok(1) if begun == [0])
    }

    /// To be handed to the other side.
    pub(crate) fn page(&self) -> Arc<OwnedFd> {
        self.page.clone()
    }

    fn word(side: Side) -> u64 {
        match side {
            Side::Node => 0,
            Side::Guest => WORD,
        }
    }
}

impl DiskPeer for SharedDisk {
    fn used(&self) -> u64 {
        let other = if self.side == Side::Node { Side::Guest } else { Side::Node };
        let mut word = [0; WORD as usize];
        // Can't fail on a page of this size; if it did, the rest of the budget would be gone.
        match pread(&*self.page, &mut word[..], Self::word(other)) {
            Ok(read) if read == word.len() => u64::from_ne_bytes(word),
            _ => u64::MAX,
        }
    }

    fn tell(&self, used: u64) {
        let _ = pwrite(&*self.page, &used.to_ne_bytes(), Self::word(self.side));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use posemesh_runner_api::disk::TaskDisk;

    use super::*;

    #[test]
    fn two_processes_share_one_budget() {
        let node_side = SharedDisk::create().unwrap();
        let page = node_side.page();
        let guest_side = SharedDisk::of(page.clone());
        let (node, guest) = (TaskDisk::new("/node"), TaskDisk::new("/guest"));
        node.share_with(Arc::new(node_side));
        guest.share_with(Arc::new(guest_side));
        node.set_limit(100);
        guest.set_limit(100);
        node.reserve(60).unwrap();
        assert!(guest.write(41).is_err());
        guest.write(40).unwrap();
        assert!(node.reserve(1).is_err());
        assert_eq!((node.used(), guest.used()), (100, 100));
        node.release(60);
        assert!(!guest.set_written(100));
        assert!(guest.set_written(101));
        node.share_no_more();
        SharedDisk::of(page.clone()).begin();
        assert!(SharedDisk { page: page.clone(), side: Side::Node }.has_begun());
        let again = SharedDisk::again(page).unwrap();
        assert_eq!(again.used(), 0, "what another call has taken does not count");
        assert!(!again.has_begun(), "nor that it had begun");
    }
}
