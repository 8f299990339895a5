//! The artifacts of a task, written by way of the node. A write returns when its bytes are handed over; what becomes of
//! them is said by a later write, or at the end. Small writes are gathered, so that they cost no round trip each.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use posemesh_runner_api::ports::{Artifact, ArtifactSpec, ArtifactWriter, OutputPort, PortError};
use tokio_util::sync::CancellationToken;

use crate::sandbox::arena::SLOT;
use crate::sandbox::guest::link::{Asked, CallLink, Reply, port_error, unexpected};
use crate::sandbox::wire::{Answer, Ask, AskId};

/// Writes of one artifact that may be on their way.
const UNDER_WAY: usize = 2;
/// Fewer bytes are gathered. As many artifacts may be open as a task may have: each holds no more than this.
const WORTH_A_FRAME: usize = 64 << 10;

/// The output port of one call. What was finished is known by the node's port, which nobody asks here.
pub(crate) struct LinkedOutputs {
    pub(crate) link: Arc<CallLink>,
    /// The runner is asked to stop.
    pub(crate) stop: CancellationToken,
}

#[async_trait]
impl OutputPort for LinkedOutputs {
    async fn create(&self, spec: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        let asked = self.link.ask(Ask::Create(spec), None);
        let writer = LinkedWriter {
            link: self.link.clone(),
            stop: self.stop.clone(),
            opened: asked.ask,
            gathered: Vec::new(),
            under_way: VecDeque::new(),
            whole: true,
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
    stop: CancellationToken,
    opened: AskId,
    gathered: Vec<u8>,
    under_way: VecDeque<Asked>,
    /// Not after an error, nor after a call that was dropped half-way.
    whole: bool,
}

impl LinkedWriter {
    /// Hands over what was gathered and `bytes`, less what follows the last slot and may wait for more. Without `all`, few
    /// bytes wait.
    async fn send(&mut self, mut bytes: &[u8], all: bool) -> Result<(), PortError> {
        if !std::mem::replace(&mut self.whole, false) {
            return Err(PortError::invalid("the artifact has failed or was aborted; create it again"));
        }
        let worth = if all { 1 } else { WORTH_A_FRAME };
        while self.gathered.len() + bytes.len() >= worth {
            let slot = self.link.slots().take().await?;
            let before = self.gathered.len();
            let (piece, rest) = bytes.split_at(bytes.len().min(SLOT - before));
            self.link.fill(&slot, 0, &self.gathered)?;
            self.link.fill(&slot, before, piece)?;
            self.gathered.clear();
            self.under_way.push_back(self.link.ask_write(self.opened, slot, before + piece.len()));
            bytes = rest;
            self.settle(UNDER_WAY).await?;
        }
        self.gathered.extend_from_slice(bytes);
        self.whole = true;
        Ok(())
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
        // Otherwise the node says so, which is not asked while little is written.
        if self.stop.is_cancelled() {
            self.whole = false;
            return Err(PortError::cancelled());
        }
        self.send(bytes, false).await
    }

    async fn finish(mut self: Box<Self>) -> Result<Artifact, PortError> {
        self.send(&[], true).await?;
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
