//! The stream of an opened input, as the runner reads it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use posemesh_net::trace::TARGET;
use posemesh_runner_api::ports::{PartInfo, PartStream, PortError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::field::Empty;
use tracing::{Span, info_span};

use crate::api::error::DomainError;
use crate::api::task_client::TaskClient;
use crate::download::delivery::{Chunk, Deliveries, PartDelivery};
use crate::stop::until_stopped;
use crate::traffic::InputReading;

/// What a read is told that has no part to read, or wants no bytes.
pub(super) const READ_OF_NOTHING: &str =
    "reading an input: it takes a part, from next_part, and a size above 0";

/// Where in the stream the runner is.
#[derive(Debug, Clone)]
enum StreamPosition {
    Start,
    InPart,
    AfterPart,
    End,
    Failed(PortError),
}

/// An opened input.
pub(super) struct DownloadStream {
    client: Arc<TaskClient>,
    stop: CancellationToken,
    deliveries: Deliveries,
    /// Ends with the stream: a runner that stops reading stops the download.
    download: AbortOnDropHandle<()>,
    reading: Arc<InputReading>,
    /// The part that `open` has received, for the first `next_part`.
    first_part: Option<PartInfo>,
    position: StreamPosition,
    /// The part of the last chunk that was not read yet.
    chunk: Option<Chunk>,
    /// The input, for errors.
    label: String,
    /// The transfer in its task's trace; ends with the stream.
    span: Span,
    /// Bytes that were read.
    read: u64,
}

impl DownloadStream {
    pub(super) fn new(
        client: Arc<TaskClient>,
        stop: CancellationToken,
        deliveries: Deliveries,
        download: AbortOnDropHandle<()>,
        reading: Arc<InputReading>,
        label: String,
    ) -> Self {
        let (first_part, position, chunk) = (None, StreamPosition::Start, None);
        let span = info_span!(
            target: TARGET, parent: client.span(), "download", input = label, bytes = Empty, otel.status_code = Empty
        );
        Self {
            client,
            stop,
            deliveries,
            download,
            reading,
            first_part,
            position,
            chunk,
            label,
            span,
            read: 0,
        }
    }

    /// The same before its first part, which was taken.
    pub(super) fn beginning_with(mut self, part: PartInfo) -> Self {
        self.first_part = Some(part);
        self
    }

    /// Bytes of the first part, while the runner has not taken it.
    pub(super) fn first_part_bytes(&self) -> Option<u64> {
        self.first_part.as_ref().map(|part| part.size)
    }

    /// The runner has it now: what it reads counts as read.
    pub(super) fn is_read(&self) {
        self.reading.begin(self.client.traffic());
    }

    /// The next delivery; after an error, that error again.
    async fn next(&mut self) -> Result<PartDelivery, PortError> {
        if let StreamPosition::Failed(error) = &self.position {
            return Err(error.clone());
        }
        let received = async {
            let gone = || DomainError::Cut("the download ended without saying why".to_owned());
            self.deliveries.recv().await.unwrap_or_else(|| Err(gone()))
        };
        let result = until_stopped(&self.stop, received).await;
        let result = result.map_err(|error| self.client.port_error(error).about(&self.label));
        match &result {
            Ok(PartDelivery::Part(_)) => self.position = StreamPosition::InPart,
            Ok(PartDelivery::Data(_)) => {}
            Ok(PartDelivery::PartEnd) => self.position = StreamPosition::AfterPart,
            Ok(PartDelivery::End) => self.position = StreamPosition::End,
            Err(error) => {
                // Nothing more will be read, so what still comes would only take memory and network.
                self.download.abort();
                self.span.record("otel.status_code", "ERROR");
                self.position = StreamPosition::Failed(error.clone());
            }
        }
        result
    }
}

impl Drop for DownloadStream {
    fn drop(&mut self) {
        self.span.record("bytes", self.read);
    }
}

#[async_trait]
impl PartStream for DownloadStream {
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError> {
        if let Some(first) = self.first_part.take() {
            return Ok(Some(first));
        }
        // The runner skips the rest of its part; with the chunk its share of the read-ahead is released.
        self.chunk = None;
        if matches!(self.position, StreamPosition::End) {
            return Ok(None);
        }
        loop {
            match self.next().await? {
                PartDelivery::Part(info) => return Ok(Some(info)),
                PartDelivery::End => return Ok(None),
                // The rest of a part that the runner skips still has to be taken out of the queue.
                PartDelivery::Data(_) | PartDelivery::PartEnd => {}
            }
        }
    }

    async fn read(&mut self, max_bytes: usize) -> Result<Bytes, PortError> {
        if max_bytes == 0 || matches!(self.position, StreamPosition::Start) || self.first_part.is_some() {
            return Err(PortError::invalid(READ_OF_NOTHING));
        }
        loop {
            if let Some(chunk) = self.chunk.as_mut().filter(|chunk| !chunk.bytes.is_empty()) {
                let bytes = chunk.bytes.split_to(chunk.bytes.len().min(max_bytes));
                // At once, not at the next read: an empty chunk would keep its share of the read-ahead.
                self.chunk.take_if(|chunk| chunk.bytes.is_empty());
                self.read += bytes.len() as u64;
                return Ok(bytes);
            }
            if matches!(self.position, StreamPosition::AfterPart | StreamPosition::End) {
                return Ok(Bytes::new());
            }
            if let PartDelivery::Data(chunk) = self.next().await? {
                self.chunk = Some(chunk);
            }
        }
    }
}
