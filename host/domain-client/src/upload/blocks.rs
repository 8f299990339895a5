//! Memory that is paid for out of the task's budget.

use bytes::{Bytes, BytesMut};
use tokio::sync::OwnedSemaphorePermit;

use crate::upload::budget::{LARGEST, MemoryBudget};

/// Bytes of the first block; each further one is twice as large, so that small artifacts cost little.
const SMALLEST: usize = 4 << 10;

/// Bytes in blocks of memory that grow as they are needed.
#[derive(Default)]
pub(super) struct MemoryBlocks {
    full: Vec<Bytes>,
    last: BytesMut,
    size: usize,
    reserved: Option<OwnedSemaphorePermit>,
}

impl MemoryBlocks {
    /// Copies from the start of `bytes` until these are used up, `most` bytes are here, or the budget is used up.
    pub(super) fn take(&mut self, bytes: &mut Bytes, most: usize, budget: &MemoryBudget) {
        while !bytes.is_empty() && self.size < most {
            if self.last.len() == self.last.capacity() && !self.grow(budget) {
                return;
            }
            let room = (self.last.capacity() - self.last.len()).min(most - self.size);
            let piece = bytes.split_to(room.min(bytes.len()));
            self.last.extend_from_slice(&piece);
            self.size += piece.len();
        }
    }

    /// Begins another block if the budget allows it.
    fn grow(&mut self, budget: &MemoryBudget) -> bool {
        // The shift is bounded, since the number of blocks grows without limit and the size does not.
        let bytes = (SMALLEST << self.full.len().min(16)).min(LARGEST);
        let Some((block, reserved)) = budget.block(bytes) else { return false };
        match &mut self.reserved {
            // One permit for all blocks, so that the whole reservation ends with this value.
            Some(all) => all.merge(reserved),
            None => self.reserved = Some(reserved),
        }
        let full = std::mem::replace(&mut self.last, block);
        self.full.push(full.freeze());
        true
    }

    /// Gives the blocks back, which nobody needs any more.
    pub(super) fn give_back(self, budget: &MemoryBudget) {
        let Self { mut full, last, reserved, .. } = self;
        full.push(last.freeze());
        if let Some(reserved) = reserved {
            budget.keep(full, reserved);
        }
    }

    /// All bytes, without copying them.
    pub(super) fn all(&mut self) -> Vec<Bytes> {
        // `split` leaves the block's free capacity behind, so that what was paid for can still be filled.
        let last = self.last.split().freeze();
        self.full.push(last);
        self.full.iter().filter(|bytes| !bytes.is_empty()).cloned().collect()
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_taken_in_growing_blocks_and_released_at_the_end() {
        let budget = MemoryBudget::new(20 << 10);
        let mut blocks = MemoryBlocks::default();
        let mut bytes = Bytes::from(vec![7; 30 << 10]);
        blocks.take(&mut bytes, usize::MAX, &budget);
        assert_eq!((blocks.size, budget.available_bytes()), (12 << 10, 8 << 10), "4 and 8 KiB, but not 16");
        assert_eq!(bytes.len(), 18 << 10);
        let all = blocks.all();
        assert_eq!(all.iter().map(Bytes::len).sum::<usize>(), 12 << 10);
        assert_eq!(blocks.all(), all, "as often as one likes");
        drop(blocks);
        assert_eq!(budget.available_bytes(), 20 << 10);
    }

    #[test]
    fn a_block_is_used_again_when_nobody_has_its_bytes_and_counts_until_others_need_the_room() {
        let budget = MemoryBudget::new(1 << 20);
        let fill = |bytes: u8| {
            let mut blocks = MemoryBlocks::default();
            let mut rest = Bytes::from(vec![bytes; 900 << 10]);
            blocks.take(&mut rest, usize::MAX, &budget);
            assert!(rest.is_empty() && blocks.all().concat() == vec![bytes; 900 << 10]);
            blocks
        };
        // Nothing, 4, 8, 16, 32, 64 and 128 KiB, two full blocks of the largest size and a third that is not.
        let first = fill(1);
        assert_eq!(budget.available_bytes(), 4 << 10);
        let (at, sent) = (first.full[8].as_ptr(), first.full[7].clone());
        first.give_back(&budget);
        assert_eq!(budget.available_bytes(), (1 << 20) - LARGEST, "one is kept, and one is still being sent");
        drop(sent);
        let second = fill(2);
        assert!(second.full.iter().any(|block| block.as_ptr() == at), "the same memory");
        second.give_back(&budget);
        assert_eq!(budget.available_bytes(), (1 << 20) - 2 * LARGEST);
        assert!(budget.block(1 << 20).is_some(), "what is kept holds nobody up");
    }

    #[test]
    fn a_half_full_block_is_filled_on_after_its_bytes_were_read() {
        let budget = MemoryBudget::new(4 << 10);
        let mut blocks = MemoryBlocks::default();
        for n in 0..4096_u16 {
            blocks.take(&mut Bytes::copy_from_slice(&n.to_le_bytes()[..1]), usize::MAX, &budget);
            if n % 1000 == 0 {
                blocks.all();
            }
        }
        let want: Vec<u8> = (0..4096_u16).map(|n| n.to_le_bytes()[0]).collect();
        assert_eq!(blocks.all().concat(), want);
        let mut more = Bytes::from_static(b"x");
        blocks.take(&mut more, usize::MAX, &budget);
        assert_eq!(more, "x", "there is no memory left");
    }
}
