//! How the bytes of a call get into the slots of its arena and out of them.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use posemesh_runner_api::beside::begin;
use tokio_util::task::TaskTracker;

use crate::sandbox::arena::Arena;
use crate::sandbox::buffers::Buffers;

/// From how many bytes on they are copied by another thread: those of the runtime have the network to serve.
const APART_FROM: usize = 128 << 10;

/// Copies bytes for one call. Clones share.
#[derive(Clone)]
pub(super) struct Copies {
    arena: Arena,
    buffers: Arc<Buffers>,
    under_way: TaskTracker,
}

impl Copies {
    pub(super) fn new(arena: Arena) -> Self {
        Self { arena, buffers: Arc::default(), under_way: TaskTracker::new() }
    }

    /// Copies these into a slot, one after the other. `held` is dropped when nobody writes there any more, which may be after
    /// this was given up.
    ///
    /// # Errors
    /// When they do not fit, or what the system says.
    pub(super) async fn put(
        &self,
        slot: u32,
        pieces: Vec<Bytes>,
        held: impl Send + 'static,
    ) -> io::Result<()> {
        let arena = self.arena.clone();
        let size = pieces.iter().map(Bytes::len).sum();
        let put = move || {
            let _held = held;
            let mut at = 0;
            for bytes in pieces {
                arena.put(slot, at, &bytes)?;
                at += bytes.len();
            }
            Ok(())
        };
        self.copied(size, put).await
    }

    /// Copies the first bytes out of a slot: what the process writes to it afterwards changes nothing.
    ///
    /// # Errors
    /// When there are not so many, or what the system says.
    pub(super) async fn get(&self, slot: u32, length: usize) -> io::Result<Bytes> {
        let (arena, buffers) = (self.arena.clone(), self.buffers.clone());
        self.copied(length, move || arena.get(slot, length, &buffers)).await
    }

    /// Waits for the copies that nobody waits for any more, when no further one begins: the next call has the same memory.
    pub(super) async fn settle(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }

    async fn copied<T: Send + 'static>(
        &self,
        size: usize,
        copy: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        if size < APART_FROM {
            return copy();
        }
        let under_way = self.under_way.token();
        let mut begun = begin(move || {
            let _under_way = under_way;
            copy()
        });
        begun.done().await.unwrap_or_else(|| Err(io::Error::other("the node ends")))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::sandbox::arena::SLOT;

    #[tokio::test]
    async fn few_bytes_and_many_come_out_as_they_went_in() {
        let copies = Copies::new(Arena::create().unwrap());
        for size in [1, APART_FROM - 1, APART_FROM, SLOT] {
            let bytes: Bytes = (0..size).map(|at| (at % 251) as u8).collect();
            let mut rest = bytes.clone();
            let pieces = vec![rest.split_to(size / 3), rest.split_to(size / 3), rest];
            copies.put(3, pieces, ()).await.unwrap();
            assert_eq!(copies.get(3, size).await.unwrap(), bytes, "{size}");
        }
        assert!(
            copies.put(3, vec![vec![0; SLOT].into(), "x".into()], ()).await.is_err(),
            "more than a slot has"
        );
        assert!(copies.get(3, SLOT + 1).await.is_err());
    }

    #[tokio::test]
    async fn a_slot_is_held_until_nobody_writes_to_it() {
        let copies = Copies::new(Arena::create().unwrap());
        for size in [1, SLOT] {
            let (held, released) = tokio::sync::oneshot::channel::<()>();
            let mut put = Box::pin(copies.put(0, vec![vec![7; size].into()], held));
            // Given up at once, perhaps in the middle.
            let _ = timeout(Duration::ZERO, &mut put).await;
            drop(put);
            released.await.unwrap_err();
            assert_eq!(copies.get(0, size).await.unwrap(), vec![7; size], "all was written before");
        }
    }

    #[tokio::test]
    async fn a_copy_that_nobody_waits_for_is_waited_for_before_the_memory_is_used_again() {
        let copies = Copies::new(Arena::create().unwrap());
        let (go_on, waiting) = mpsc::channel::<()>();
        let mut copy = Box::pin(copies.copied(APART_FROM, move || {
            let _ = waiting.recv_timeout(Duration::from_secs(60));
            Ok(())
        }));
        // Begun, and given up.
        timeout(Duration::from_millis(10), &mut copy).await.unwrap_err();
        drop(copy);
        timeout(Duration::from_millis(50), copies.settle()).await.unwrap_err();
        drop(go_on);
        copies.settle().await;
    }
}
