//! The inputs of a task, read by way of the node. Chunks are read ahead while the guest works on the last, and small reads are
//! served from them, so that they cost no round trip each. A small input that the node has already comes whole.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use posemesh_runner_api::ports::{InputPort, PartInfo, PartStream, PortError};
use tokio::sync::OwnedSemaphorePermit;

use crate::ports::inputs::check_length;
use crate::sandbox::arena::SLOT;
use crate::sandbox::guest::link::{Asked, CallLink, Reply, port_error, unexpected};
use crate::sandbox::wire::{Answer, Ask, AskId};

/// Chunks of one part that are asked for ahead: while the guest is told of one, the node fills the next.
const AHEAD: usize = 2;

/// The input port of one call.
pub(crate) struct LinkedInputs(pub(crate) Arc<CallLink>);

#[async_trait]
impl InputPort for LinkedInputs {
    async fn open(&self, cid: &str) -> Result<Box<dyn PartStream>, PortError> {
        check_length(cid)?;
        let (slot, _permit) = self.0.slots().spare().unzip();
        let open = Ask::Open { cid: cid.to_owned(), slot: slot.as_ref().map(|slot| slot.number) };
        let asked = self.0.ask(open, slot);
        // Made before the answer is there: whoever gives up the opening closes what it may have opened.
        let mut stream = LinkedParts {
            link: self.0.clone(),
            opened: asked.ask,
            whole: None,
            rest: Bytes::new(),
            ahead: VecDeque::new(),
            left: 0,
            ended: true,
            closed: false,
        };
        match asked.answered().await.map_err(port_error)? {
            Reply::Said(Answer::Done) => Ok(Box::new(stream)),
            Reply::Whole(part, bytes) => {
                (stream.whole, stream.rest, stream.closed) = (Some(part), bytes, true);
                Ok(Box::new(stream))
            }
            other => Err(unexpected(&other)),
        }
    }
}

/// A chunk that is on its way, and the right to read ahead, if nobody waits for it yet.
struct Ahead {
    asked: Asked,
    _permit: Option<OwnedSemaphorePermit>,
}

/// The parts of one CID.
struct LinkedParts {
    link: Arc<CallLink>,
    opened: AskId,
    /// The only part, with all its bytes in `rest`, until the guest has it.
    whole: Option<PartInfo>,
    /// What the guest has not taken yet of the last chunk.
    rest: Bytes,
    ahead: VecDeque<Ahead>,
    /// Bytes of the current part that are not here yet, as it was announced.
    left: u64,
    /// The current part has no more bytes on the node's side.
    ended: bool,
    /// The node has closed it.
    closed: bool,
}

impl LinkedParts {
    fn read_ahead(&mut self) {
        // The last chunk says that it is over; beyond what comes with that one there is nothing.
        let worth = if self.left > SLOT as u64 { AHEAD } else { 1 };
        while self.ahead.len() < worth
            && let Some((slot, permit)) = self.link.slots().spare()
        {
            let asked = self.link.ask_read(self.opened, slot, SLOT);
            self.ahead.push_back(Ahead { asked, _permit: Some(permit) });
        }
    }
}

#[async_trait]
impl PartStream for LinkedParts {
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError> {
        if self.whole.is_some() {
            return Ok(self.whole.take());
        }
        // The node answers in order: chunks that were read ahead belong to the part that is left.
        self.ahead.clear();
        self.rest = Bytes::new();
        self.ended = true;
        if self.closed {
            return Ok(None);
        }
        match self
            .link
            .ask(Ask::NextPart { opened: self.opened }, None)
            .answered()
            .await
            .map_err(port_error)?
        {
            Reply::Said(Answer::Part(part)) => {
                self.ended = part.is_none();
                self.left = part.as_ref().map_or(0, |part| part.size);
                Ok(part)
            }
            other => Err(unexpected(&other)),
        }
    }

    async fn read(&mut self, max_bytes: usize) -> Result<Bytes, PortError> {
        if self.rest.is_empty() && !self.ended {
            let ahead = match self.ahead.pop_front() {
                Some(ahead) => ahead,
                None => {
                    let slot = self.link.slots().take().await?;
                    Ahead { asked: self.link.ask_read(self.opened, slot, SLOT), _permit: None }
                }
            };
            match ahead.asked.answered().await.map_err(port_error)? {
                Reply::Bytes(bytes) => {
                    self.ended = bytes.is_empty();
                    self.left = self.left.saturating_sub(bytes.len() as u64);
                    self.rest = bytes;
                }
                other => return Err(unexpected(&other)),
            }
            if !self.ended {
                self.read_ahead();
            }
        }
        if self.whole.is_some() {
            return Ok(Bytes::new());
        }
        Ok(self.rest.split_to(max_bytes.min(self.rest.len())))
    }
}

impl Drop for LinkedParts {
    fn drop(&mut self) {
        if !self.closed {
            self.link.close(self.opened);
        }
    }
}
