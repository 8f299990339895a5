//! One call's line to the node: what is asked, and which answer belongs to it.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use posemesh_runner_api::ports::{PartInfo, PortError, PortErrorKind};
use tokio::sync::oneshot;

use crate::sandbox::arena::Arena;
use crate::sandbox::buffers::Buffers;
use crate::sandbox::guest::mapped::MappedArena;
use crate::sandbox::guest::outbox::Outbox;
use crate::sandbox::guest::slots::{Slot, Slots};
use crate::sandbox::wire::{Answer, Ask, AskId, CallId, HttpError, Refusal, ToNode};

/// Fewer bytes are copied out at once, which costs less than a right to them.
const LENT_FROM: usize = 16 << 10;

/// What came back.
pub(crate) type Answered = Result<Reply, Refusal>;

/// An answer, with the bytes that belong to it.
#[derive(Debug)]
pub(crate) enum Reply {
    Said(Answer),
    /// Bytes of a slot, which is free again or will be when they are dropped.
    Bytes(Bytes),
    /// A whole input.
    Whole(PartInfo, Bytes),
}

struct Waiting {
    answer: oneshot::Sender<Answered>,
    /// Stays in use until the node has answered, whether or not somebody still waits: the node may write to it until
    /// then, or has not read it yet.
    slot: Option<Slot>,
    /// Whoever gets the bytes may keep them, even beyond the call.
    kept: bool,
}

/// What a call shares with its node for bulk bytes. Clones share.
#[derive(Debug, Clone)]
pub(crate) struct CallMemory {
    arena: Arena,
    /// None where there was no room for it.
    mapped: Option<Arc<MappedArena>>,
}

impl CallMemory {
    /// Takes an arena that was made by the node.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn of(file: OwnedFd) -> io::Result<Self> {
        let mapped = MappedArena::of(&file).ok();
        Ok(Self { arena: Arena::of(file)?, mapped })
    }
}

/// The line of one call. Shared by its ports.
pub(crate) struct CallLink {
    pub(crate) call: CallId,
    outbox: Outbox,
    memory: CallMemory,
    buffers: Buffers,
    next: AtomicU64,
    waiting: Mutex<HashMap<AskId, Waiting>>,
    slots: Slots,
}

/// An ask whose answer has not been waited for yet.
pub(crate) struct Asked {
    /// The number of the ask, which is that of what it opens.
    pub(crate) ask: AskId,
    answer: oneshot::Receiver<Answered>,
}

impl Asked {
    /// Waits for the answer.
    pub(crate) async fn answered(self) -> Answered {
        self.answer.await.unwrap_or_else(|_| Err(Refusal::Port(PortError::cancelled())))
    }
}

impl CallLink {
    pub(crate) fn new(call: CallId, outbox: Outbox, memory: CallMemory) -> Arc<Self> {
        let slots = Slots::new(memory.arena.slots());
        Arc::new(Self {
            call,
            outbox,
            memory,
            buffers: Buffers::default(),
            next: AtomicU64::new(1),
            waiting: Mutex::default(),
            slots,
        })
    }

    /// Asks the node; the answer is waited for by whoever gets it.
    pub(crate) fn ask(&self, what: Ask, slot: Option<Slot>) -> Asked {
        self.ask_for(what, slot, false)
    }

    fn ask_for(&self, what: Ask, slot: Option<Slot>, kept: bool) -> Asked {
        let ask = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.waiting().insert(ask, Waiting { answer, slot, kept });
        if self.outbox.try_send(&ToNode::Ask { call: self.call, ask, what }).is_err() {
            // Nobody will answer.
            self.waiting().remove(&ask);
        }
        Asked { ask, answer: answered }
    }

    /// Asks the node to read into a slot. The bytes are to be dropped with the call's store at the latest: the next call has
    /// the same memory.
    pub(crate) fn ask_read(&self, opened: AskId, slot: Slot, max: usize) -> Asked {
        self.ask(read(opened, &slot, max), Some(slot))
    }

    /// The same for bytes that others may keep longer, as wasmtime does with a body on its way into a file.
    pub(crate) fn ask_read_kept(&self, opened: AskId, slot: Slot, max: usize) -> Asked {
        self.ask_for(read(opened, &slot, max), Some(slot), true)
    }

    /// Copies bytes into a slot, from this offset on.
    pub(crate) fn fill(&self, slot: &Slot, offset: usize, bytes: &[u8]) -> Result<(), PortError> {
        let failed = |error| PortError::host(format!("handing bytes to the node: {error}"));
        self.memory.arena.put(slot.number, offset, bytes).map_err(failed)
    }

    /// Asks the node to take the first bytes of a slot.
    pub(crate) fn ask_write(&self, opened: AskId, slot: Slot, length: usize) -> Asked {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.ask(Ask::Write { opened, slot: slot.number, length }, Some(slot))
    }

    /// The slots of its arena.
    pub(crate) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Tells the node that what this ask opened is not needed any more.
    pub(crate) fn close(&self, opened: AskId) {
        self.outbox.send(&ToNode::Close { call: self.call, opened });
    }

    /// Takes an answer of the node.
    pub(crate) fn answered(&self, ask: AskId, answer: Result<Answer, Refusal>) {
        // Of an ask that was given up: nothing is lost.
        let Some(Waiting { answer: waiting, slot, kept }) = self.waiting().remove(&ask) else { return };
        let bytes = |slot: Slot, length: u32| {
            let failed = |error| Refusal::Port(PortError::host(format!("taking bytes of the node: {error}")));
            self.bytes(slot, length as usize, kept).map_err(failed)
        };
        let reply = match (answer, slot) {
            (Ok(Answer::Bytes(length)), Some(slot)) => bytes(slot, length).map(Reply::Bytes),
            (Ok(Answer::Whole { part, length }), Some(slot)) => {
                bytes(slot, length).map(|bytes| Reply::Whole(part, bytes))
            }
            (Ok(said), _) => Ok(Reply::Said(said)),
            (Err(refusal), _) => Err(refusal),
        };
        let _ = waiting.send(reply);
    }

    /// The bytes of a slot, which the node does not write to any more: lent, or copied out at once when they are kept or too
    /// many are lent, so that slots are never all held by what nobody reads.
    fn bytes(&self, slot: Slot, length: usize, kept: bool) -> io::Result<Bytes> {
        let CallMemory { arena, mapped } = &self.memory;
        let mapped = mapped.as_ref().filter(|_| length >= LENT_FROM && !kept);
        match mapped.and_then(|mapped| Some((mapped, self.slots.lend()?))) {
            Some((mapped, permit)) => {
                let beyond = || io::Error::new(io::ErrorKind::InvalidInput, "more bytes than a slot has");
                mapped.lend(slot, length, permit).ok_or_else(beyond)
            }
            None => arena.get(slot.number, length, &self.buffers),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<AskId, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(opened: AskId, slot: &Slot, max: usize) -> Ask {
    Ask::Read { opened, slot: slot.number, max: u32::try_from(max).unwrap_or(u32::MAX) }
}

/// A refusal as a port's error.
pub(crate) fn port_error(refusal: Refusal) -> PortError {
    match refusal {
        Refusal::Port(error) => error,
        Refusal::Http(error) => {
            PortError::host(format!("the node answered with an error of HTTP: {error:?}"))
        }
    }
}

/// A refusal as an error of HTTP.
pub(crate) fn http_error(refusal: Refusal) -> HttpError {
    match refusal {
        Refusal::Http(error) => error,
        Refusal::Port(PortError { kind: PortErrorKind::Cancelled, .. }) => {
            HttpError::Internal("the request was given up".to_owned())
        }
        Refusal::Port(error) => HttpError::Internal(error.text),
    }
}

/// The node has answered something that was not asked. It never does.
pub(crate) fn unexpected(reply: &Reply) -> PortError {
    PortError::host(format!("the node answered {reply:?}, which was not asked for"))
}
