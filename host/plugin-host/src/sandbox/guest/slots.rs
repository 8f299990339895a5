//! The slots of a call's arena, as the guest's side hands them out.

use std::sync::{Arc, Mutex, PoisonError};

use posemesh_runner_api::ports::PortError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::instance::outbound::AT_ONCE;

/// One slot is left for what the node answers by itself, and two for each request that is under way: what waits for a
/// stranger's server of its body, and of its answer's. The others are divided into halves: those that are filled before a
/// guest wants their bytes, and those whose bytes are read where they lie. A guest that leaves a little of any number of
/// inputs, or waits for any number of servers, still reads and writes by the slot that is left.
const LEFT: usize = 1 + 2 * AT_ONCE;
const HALVES: usize = 2;

/// The slots of one call, and the rights to keep some.
#[derive(Debug)]
pub(crate) struct Slots {
    all: Arc<Semaphore>,
    ahead: Arc<Semaphore>,
    lent: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    requests: Arc<Semaphore>,
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
        let half = (slots as usize).saturating_sub(LEFT) / HALVES;
        Self {
            all: Arc::new(Semaphore::new(slots as usize)),
            ahead: Arc::new(Semaphore::new(half)),
            lent: Arc::new(Semaphore::new(half)),
            // Where there are hardly any slots, bodies have to be sent all the same.
            bodies: Arc::new(Semaphore::new((slots as usize / LEFT * AT_ONCE).max(1))),
            requests: Arc::new(Semaphore::new(AT_ONCE)),
            free: Arc::new(Mutex::new((0..slots).collect())),
        }
    }

    /// A free slot; waits for one. Whoever has one of those that are not kept by others gets an answer without anybody
    /// else's doing, so this ends.
    pub(crate) async fn take(&self) -> Result<Slot, PortError> {
        let permit = self.all.clone().acquire_owned().await.map_err(|_| PortError::cancelled())?;
        self.numbered(permit).ok_or_else(PortError::cancelled)
    }

    /// A free slot for a piece of a request's body, and the right to have one until the server has taken it; waits for them.
    pub(crate) async fn for_body(&self) -> Result<(Slot, OwnedSemaphorePermit), PortError> {
        let right = self.bodies.clone().acquire_owned().await.map_err(|_| PortError::cancelled())?;
        Ok((self.take().await?, right))
    }

    /// The right to have a request under way, until its answer's body was read; waits for it, as the node would.
    pub(crate) async fn for_request(&self) -> Result<OwnedSemaphorePermit, PortError> {
        self.requests.clone().acquire_owned().await.map_err(|_| PortError::cancelled())
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
        for count in [SLOTS, SLOTS - 2] {
            let slots = Slots::new(count);
            let (mut kept, mut lent, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
            let mut answers = Vec::new();
            for _ in 0..AT_ONCE {
                answers.push(slots.take().await.unwrap());
            }
            while let Some(spare) = slots.spare() {
                kept.push(spare);
            }
            while let Some(right) = slots.lend() {
                lent.push((slots.take().await.unwrap(), right));
            }
            while slots.bodies.available_permits() > 0 {
                bodies.push(slots.for_body().await.unwrap());
            }
            let half = (count as usize - LEFT) / 2;
            assert_eq!((kept.len(), lent.len(), bodies.len()), (half, half, AT_ONCE), "{count}");
            let last = slots.take().await.unwrap();
            assert!(last.number < count, "{count}");
        }
    }

    #[tokio::test]
    async fn with_few_slots_nothing_is_kept() {
        for count in [LEFT as u32 + 1, 3, 1] {
            let slots = Slots::new(count);
            assert!(slots.spare().is_none() && slots.lend().is_none());
            drop(slots.for_body().await.unwrap());
            slots.take().await.unwrap();
        }
    }
}
