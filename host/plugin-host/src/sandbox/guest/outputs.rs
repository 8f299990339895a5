//! The artifacts of a task, written by way of the node. A write returns when its bytes lie in a slot; what becomes of them is
//! said by a later write, or at the end. Small writes are gathered, so that they cost no round trip each.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use posemesh_runner_api::ports::{Artifact, ArtifactSpec, ArtifactWriter, OutputPort, PortError};
use tokio::sync::OwnedSemaphorePermit;

use crate::sandbox::arena::SLOT;
use crate::sandbox::guest::link::{Asked, CallLink, Reply, port_error, unexpected};
use crate::sandbox::guest::slots::Slot;
use crate::sandbox::wire::{Answer, Ask, AskId};

/// Slots of one artifact that may be on their way.
const UNDER_WAY: usize = 2;
/// Bytes that are gathered before the node is asked to take them, at first: it begins with them sooner. It doubles from time to
/// time, up to a slot.
const FIRST_FILL: usize = 128 << 10;

/// The output port of one call. What was finished is known by the node's port, which nobody asks here.
pub(crate) struct LinkedOutputs(pub(crate) Arc<CallLink>);

#[async_trait]
impl OutputPort for LinkedOutputs {
    async fn create(&self, spec: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        let asked = self.0.ask(Ask::Create(spec), None);
        let writer = LinkedWriter {
            link: self.0.clone(),
            opened: asked.ask,
            filling: None,
            fill: FIRST_FILL,
            under_way: VecDeque::new(),
        };
        match asked.answered().await.map_err(port_error)? {
            Reply::Said(Answer::Done) => Ok(Box::new(writer)),
            other => Err(unexpected(&other)),
        }
    }

    fn finished(&self) -> Vec<Artifact> {
        Vec::new()
    }
}

struct LinkedWriter {
    link: Arc<CallLink>,
    opened: AskId,
    /// What has been gathered.
    filling: Option<Filling>,
    /// How much of it is worth a frame.
    fill: usize,
    under_way: VecDeque<Asked>,
}

/// A slot that is not full yet.
struct Filling {
    slot: Slot,
    size: usize,
    /// Without the right to keep a slot it is sent at once.
    right: Option<OwnedSemaphorePermit>,
}

impl LinkedWriter {
    /// The slot that is next to be written to.
    async fn filling(&mut self) -> Result<&mut Filling, PortError> {
        let filling = match self.filling.take() {
            Some(filling) => filling,
            None => match self.link.slots().spare() {
                Some((slot, right)) => Filling { slot, size: 0, right: Some(right) },
                None => Filling { slot: self.link.slots().take().await?, size: 0, right: None },
            },
        };
        Ok(self.filling.insert(filling))
    }

    /// Hands over what has been gathered.
    async fn send(&mut self) -> Result<(), PortError> {
        let Some(Filling { slot, size, right: _ }) = self.filling.take() else { return Ok(()) };
        self.under_way.push_back(self.link.ask_write(self.opened, slot, size));
        self.fill = (self.fill * 2).min(SLOT);
        self.settle(UNDER_WAY).await
    }

    /// Waits until no more than so many writes are on their way.
    async fn settle(&mut self, left: usize) -> Result<(), PortError> {
        while self.under_way.len() > left
            && let Some(asked) = self.under_way.pop_front()
        {
            match asked.answered().await.map_err(port_error)? {
                Reply::Said(Answer::Done) => {}
                other => return Err(unexpected(&other)),
            }
        }
        Ok(())
    }
}

#[async_trait]
impl ArtifactWriter for LinkedWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), PortError> {
        self.write_slice(&bytes).await
    }

    async fn write_slice(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let link = self.link.clone();
            let filling = self.filling().await?;
            let (piece, later) = rest.split_at(rest.len().min(SLOT - filling.size));
            link.fill(&filling.slot, filling.size, piece)?;
            filling.size += piece.len();
            rest = later;
            let (size, may_wait) = (filling.size, filling.right.is_some());
            if size >= self.fill || !may_wait {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Artifact, PortError> {
        self.send().await?;
        self.settle(0).await?;
        match self.link.ask(Ask::Finish { opened: self.opened }, None).answered().await.map_err(port_error)? {
            Reply::Said(Answer::Stored(artifact)) => Ok(artifact),
            other => Err(unexpected(&other)),
        }
    }
}

impl Drop for LinkedWriter {
    fn drop(&mut self) {
        self.link.close(self.opened);
    }
}
