//! The slots of a call's arena, as the guest's side hands them out.

use std::sync::{Arc, Mutex, PoisonError};

use posemesh_runner_api::ports::PortError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Slots that may be filled before a guest wants their bytes; the others are for what it waits for.
const AHEAD: usize = 4;
/// Slots whose bytes may be read where they lie. What a guest leaves there keeps the slot in use, so that beyond these
/// bytes are copied out at once: a guest may leave a little of any number of inputs.
const LENT: usize = 4;

/// The slots of one call, and the rights to keep some.
#[derive(Debug)]
pub(crate) struct Slots {
    all: Arc<Semaphore>,
    ahead: Arc<Semaphore>,
    lent: Arc<Semaphore>,
    free: Arc<Mutex<Vec<u32>>>,
}

/// A slot that is in use, until this is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) number: u32,
    free: Arc<Mutex<Vec<u32>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Before the permit goes: whoever gets that finds a number.
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.number);
    }
}

impl Slots {
    /// So many, all free.
    pub(crate) fn new(slots: u32) -> Self {
        let at_most = |some: usize, of: usize| Arc::new(Semaphore::new(some.min(slots as usize / of)));
        Self {
            all: Arc::new(Semaphore::new(slots as usize)),
            ahead: at_most(AHEAD, 2),
            // With those ahead no more than two thirds.
            lent: at_most(LENT, 3),
            free: Arc::new(Mutex::new((0..slots).collect())),
        }
    }

    /// A free slot; waits for one. Whoever has a slot gets an answer without anybody else's doing, so this ends.
    pub(crate) async fn take(&self) -> Result<Slot, PortError> {
        let permit = self.all.clone().acquire_owned().await.map_err(|_| PortError::cancelled())?;
        self.numbered(permit).ok_or_else(PortError::cancelled)
    }

    /// A free slot for bytes that nobody has asked for yet, and the right to keep them until somebody does; None when
    /// there is none to spare.
    pub(crate) fn spare(&self) -> Option<(Slot, OwnedSemaphorePermit)> {
        let ahead = self.ahead.clone().try_acquire_owned().ok()?;
        let permit = self.all.clone().try_acquire_owned().ok()?;
        Some((self.numbered(permit)?, ahead))
    }

    /// The right to leave bytes in their slot for as long as somebody reads them; None when too many do.
    pub(crate) fn lend(&self) -> Option<OwnedSemaphorePermit> {
        self.lent.clone().try_acquire_owned().ok()
    }

    fn numbered(&self, permit: OwnedSemaphorePermit) -> Option<Slot> {
        let number = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(Slot { number, free: self.free.clone(), _permit: permit })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sandbox::arena::SLOTS;

    #[tokio::test]
    async fn some_are_left_for_what_is_waited_for_whatever_is_kept() {
        for count in [SLOTS, SLOTS / 2, SLOTS / 4, 1] {
            let slots = Slots::new(count);
            let mut kept = Vec::new();
            while let Some(spare) = slots.spare() {
                kept.push(spare);
            }
            let mut lent = Vec::new();
            while let Some(right) = slots.lend() {
                lent.push((slots.take().await.unwrap(), right));
            }
            let last = slots.take().await.unwrap();
            assert!(last.number < count, "{count}");
            assert_eq!(lent.len(), (count as usize / 3).min(LENT), "{count}");
        }
    }
}
