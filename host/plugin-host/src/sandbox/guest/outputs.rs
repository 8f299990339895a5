//! The artifacts of a task, written by way of the node. A write returns when its bytes are handed over; what becomes of
//! them is said by a later write, or at the end.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use posemesh_runner_api::ports::{Artifact, ArtifactSpec, ArtifactWriter, OutputPort, PortError};

use crate::sandbox::arena::SLOT;
use crate::sandbox::guest::link::{Asked, CallLink, Reply, port_error, unexpected};
use crate::sandbox::wire::{Answer, Ask, AskId};

/// Writes of one artifact that may be on their way.
const UNDER_WAY: usize = 2;

/// The output port of one call. What was finished is known by the node's port, which nobody asks here.
pub(crate) struct LinkedOutputs(pub(crate) Arc<CallLink>);

#[async_trait]
impl OutputPort for LinkedOutputs {
    async fn create(&self, spec: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        let asked = self.0.ask(Ask::Create(spec), None);
        let writer = LinkedWriter { link: self.0.clone(), opened: asked.ask, under_way: VecDeque::new() };
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
    under_way: VecDeque<Asked>,
}

impl LinkedWriter {
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
        for piece in bytes.chunks(SLOT) {
            let slot = self.link.slots().take().await?;
            self.under_way.push_back(self.link.ask_write(self.opened, slot, piece)?);
            self.settle(UNDER_WAY).await?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Artifact, PortError> {
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
