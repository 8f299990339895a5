//! The way from a download to the runner's side: a short queue, and how far the download may be ahead.

use std::sync::Arc;

use bytes::Bytes;
use posemesh_runner_api::ports::PartInfo;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::api::error::DomainError;
use crate::download::budget::DownloadBudget;
use crate::download::pass_error::PassError;

/// Messages that wait for the runner, per input.
const QUEUE: usize = 4;
/// Bytes of the largest chunk in one message.
const CHUNK: usize = 256 << 10;

/// What a download delivers.
#[derive(Debug)]
pub(crate) enum PartDelivery {
    Part(PartInfo),
    Data(Chunk),
    PartEnd,
    /// All parts were delivered.
    End,
}

/// Bytes of a part that wait for the runner, with their share of the task's read-ahead.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) bytes: Bytes,
    _read_ahead: Option<OwnedSemaphorePermit>,
}

/// The runner's end of the queue. After an error nothing follows.
pub(crate) type Deliveries = mpsc::Receiver<Result<PartDelivery, DomainError>>;

/// The download's end of the queue.
pub(super) struct Deliverer {
    queue: mpsc::Sender<Result<PartDelivery, DomainError>>,
    budget: Arc<DownloadBudget>,
}

impl Deliverer {
    pub(super) fn new(budget: Arc<DownloadBudget>) -> (Self, Deliveries) {
        let (queue, deliveries) = mpsc::channel(QUEUE);
        (Self { queue, budget }, deliveries)
    }

    /// Delivers bytes of the current part. Ahead of the runner if the budget allows it, else one chunk at a time: a
    /// runner that has many inputs open can read each of them, and those that it does not read hold next to nothing.
    pub(super) async fn data(&self, mut bytes: Bytes) -> Result<(), PassError> {
        while !bytes.is_empty() {
            let chunk = bytes.split_to(bytes.len().min(CHUNK));
            let read_ahead = self.budget.read_ahead();
            if read_ahead.is_none() {
                // All places free means that the runner has taken all that was queued before.
                let whole_queue = self.queue.reserve_many(QUEUE).await.map_err(|_| PassError::Abandoned)?;
                drop(whole_queue);
            }
            self.send(PartDelivery::Data(Chunk { bytes: chunk, _read_ahead: read_ahead })).await?;
        }
        Ok(())
    }

    pub(super) async fn send(&self, delivery: PartDelivery) -> Result<(), PassError> {
        self.queue.send(Ok(delivery)).await.map_err(|_| PassError::Abandoned)
    }

    /// Delivers how the download ended. It does not matter if nobody listens any more.
    pub(super) async fn finish(self, result: Result<(), DomainError>) {
        let _ = self.queue.send(result.map(|()| PartDelivery::End)).await;
    }
}
