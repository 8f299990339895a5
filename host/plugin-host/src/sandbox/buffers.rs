//! Memory for bytes that were copied out of a slot: used again as soon as nobody has them any more, since getting a
//! megabyte from the system and giving it back costs as much as filling it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;

/// Bytes of one buffer: those of a slot of an arena.
pub(crate) const WHOLE: usize = 1 << 20;
/// Buffers that one call keeps for later.
const KEPT: usize = 4;
/// From this length on a buffer is lent; fewer bytes get memory of their own size.
const LENT_FROM: usize = WHOLE / 2;

/// The buffers of one call.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Arc<Shelf>);

type Shelf = Mutex<Vec<Vec<u8>>>;

impl Buffers {
    /// So many bytes, at most a slot, as `fill` writes them.
    ///
    /// # Errors
    /// That of `fill`.
    pub(crate) fn filled<E>(
        &self,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        if !(LENT_FROM..=WHOLE).contains(&length) {
            let mut bytes = vec![0; length];
            fill(&mut bytes)?;
            return Ok(bytes.into());
        }
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut lent =
            Lent { bytes: kept.unwrap_or_else(|| vec![0; WHOLE]), length, to: Arc::downgrade(&self.0) };
        fill(lent.bytes.get_mut(..length).unwrap_or_default())?;
        Ok(Bytes::from_owner(lent))
    }
}

/// A buffer that is given back when it is dropped.
struct Lent {
    bytes: Vec<u8>,
    length: usize,
    to: Weak<Shelf>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // A call that has ended needs none.
        let Some(shelf) = self.to.upgrade() else { return };
        let mut kept = shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn fill(buffers: &Buffers, length: usize, with: u8) -> Bytes {
        buffers
            .filled(length, |bytes| {
                bytes.fill(with);
                Ok::<(), ()>(())
            })
            .unwrap()
    }

    #[test]
    fn a_buffer_is_used_again_when_nobody_has_its_bytes() {
        let buffers = Buffers::default();
        let first = fill(&buffers, WHOLE, 1);
        let second = fill(&buffers, WHOLE - 1, 2);
        assert!(first.iter().all(|byte| *byte == 1) && second.iter().all(|byte| *byte == 2));
        assert_eq!((first.len(), second.len()), (WHOLE, WHOLE - 1));
        let at = first.as_ptr();
        drop(first);
        assert_eq!(fill(&buffers, WHOLE / 2, 3).as_ptr(), at);
        assert_eq!(fill(&buffers, 10, 4), vec![4; 10], "few bytes have memory of their own");
        drop(buffers);
        drop(second);
    }

    #[test]
    fn what_can_not_be_filled_is_given_back() {
        let buffers = Buffers::default();
        assert_eq!(buffers.filled(WHOLE, |_| Err("no")).unwrap_err(), "no");
        assert_eq!(buffers.0.lock().unwrap().len(), 1);
    }
}
