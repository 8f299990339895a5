//! How many inputs are asked for at once: ever more, as long as they are small and the server gives them.

use posemesh_domain_data::cid::MAX_IDS;

use crate::download::batch::{BATCH_BYTES, BatchEnd};

/// Inputs of the first batch.
const FIRST: usize = 8;
/// Batches that may be there at the same time, once one has come whole.
const AT_ONCE: usize = 4;
/// Batches in a row that are given up before no more are tried: the server refuses them, or they are no use here.
const GIVEN_UP: u32 = 3;

/// The sizes of a task's batches.
#[derive(Debug)]
pub(super) struct BatchSizes {
    next: usize,
    /// The most that the server gives, as far as it has shown.
    most: usize,
    /// Batches in a row that were given up.
    given_up: u32,
    /// Whether one has come whole.
    works: bool,
    /// The largest input so far, in bytes.
    largest: u64,
}

impl Default for BatchSizes {
    fn default() -> Self {
        Self { next: FIRST, most: MAX_IDS, given_up: 0, works: false, largest: 0 }
    }
}

impl BatchSizes {
    /// Notes the size of an input that is small enough for a batch.
    pub(super) fn saw(&mut self, bytes: u64) {
        self.largest = self.largest.max(bytes);
    }

    /// Notes how a batch of so many inputs has ended, of which the largest had so many bytes.
    pub(super) fn ended(&mut self, inputs: usize, end: BatchEnd, largest: u64) {
        self.largest = self.largest.max(largest);
        match end {
            // One that is missing is not there, most likely. With more it seems that the server gives no more at once.
            BatchEnd::Whole(came) if came > 1 && came + 1 < inputs => {
                (self.works, self.given_up) = (true, 0);
                self.most = self.most.min(came);
                self.next = self.most;
            }
            BatchEnd::Whole(2..) => {
                (self.works, self.given_up) = (true, 0);
                self.next = self.next.max(inputs.saturating_mul(2)).min(self.most);
            }
            BatchEnd::TooLarge => {
                self.given_up += 1;
                self.next = FIRST.min(self.most);
            }
            // One at a time is no use.
            BatchEnd::Whole(_) | BatchEnd::Failed => {
                self.given_up += 1;
                self.most = (inputs / 2).max(2);
                self.next = FIRST.min(self.most);
            }
        }
    }

    /// How many inputs the next batch may have while so many batches are there; none when no further one is to be begun.
    pub(super) fn next(&self, batches: usize) -> usize {
        let at_once = if self.works { AT_ONCE } else { 1 };
        if self.given_up >= GIVEN_UP || batches >= at_once {
            return 0;
        }
        let fit = BATCH_BYTES / self.largest.max(1);
        self.next.min(usize::try_from(fit).unwrap_or(usize::MAX))
    }

    /// Whether no batches are tried any more.
    pub(super) fn given_up(&self) -> bool {
        self.given_up >= GIVEN_UP
    }

    /// The largest input so far, in bytes.
    pub(super) fn largest(&self) -> u64 {
        self.largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_while_they_come_whole_and_have_no_more_bytes_than_are_kept() {
        let mut sizes = BatchSizes::default();
        assert_eq!((sizes.next(0), sizes.next(1)), (8, 0), "a single one, until one has worked");
        for next in [16, 32, 64, 100, 100] {
            let inputs = sizes.next(0);
            sizes.ended(inputs, BatchEnd::Whole(inputs), 4096);
            assert_eq!((sizes.next(0), sizes.next(3), sizes.next(4)), (next, next, 0));
        }
        sizes.ended(100, BatchEnd::Whole(100), 32 << 10);
        assert_eq!(sizes.next(0), 32);
    }

    #[test]
    fn a_server_that_gives_fewer_than_are_asked_for_is_asked_for_as_many_as_it_gives() {
        let mut sizes = BatchSizes::default();
        sizes.ended(8, BatchEnd::Whole(8), 1);
        sizes.ended(16, BatchEnd::Whole(15), 1);
        assert_eq!(sizes.next(0), 32, "a single one is missing");
        sizes.ended(32, BatchEnd::Whole(20), 1);
        assert_eq!((sizes.next(3), sizes.next(4)), (20, 0));
        // Those that were asked for before that was known.
        sizes.ended(32, BatchEnd::Whole(25), 1);
        sizes.ended(20, BatchEnd::Whole(20), 1);
        assert_eq!(sizes.next(0), 20);
        for _ in 0..3 {
            assert!(!sizes.given_up());
            sizes.ended(sizes.next(0), BatchEnd::Whole(1), 1);
        }
        assert!(sizes.given_up());
    }

    #[test]
    fn what_is_refused_is_halved_and_then_left() {
        let mut sizes = BatchSizes::default();
        for inputs in [8, 16, 32] {
            sizes.ended(inputs, BatchEnd::Whole(inputs), 1);
        }
        sizes.ended(64, BatchEnd::Failed, 1);
        assert_eq!(sizes.next(0), 8);
        for (inputs, next) in [(8, 16), (16, 32), (32, 32)] {
            sizes.ended(inputs, BatchEnd::Whole(inputs), 1);
            assert_eq!(sizes.next(0), next, "no more than the server took");
        }
        for end in [BatchEnd::Failed, BatchEnd::TooLarge, BatchEnd::Failed] {
            assert!(!sizes.given_up());
            sizes.ended(sizes.next(0), end, 1);
        }
        assert!(sizes.given_up());
        assert_eq!(sizes.next(0), 0);
    }
}
