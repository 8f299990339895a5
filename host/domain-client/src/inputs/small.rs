//! A small input that came whole before the runner asked for it.

use async_trait::async_trait;
use bytes::Bytes;
use posemesh_net::trace::TARGET;
use posemesh_runner_api::ports::{PartInfo, PartStream, PortError};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Span, info_span};

use crate::download::batch::SmallPart;
use crate::inputs::stream::READ_OF_NOTHING;

/// An opened input whose bytes are here.
pub(super) struct SmallInput {
    stop: CancellationToken,
    /// The part, until the runner takes it.
    part: Option<PartInfo>,
    /// What the runner has not read yet.
    bytes: Bytes,
    /// The input in its task's trace; ends with the stream.
    span: Span,
    /// Bytes that were read.
    read: u64,
}

impl SmallInput {
    pub(super) fn new(stop: CancellationToken, part: SmallPart, task: &Span) -> Self {
        let SmallPart { info, bytes } = part;
        let span = info_span!(
            target: TARGET, parent: task, "download", input = %format_args!("input ids={}", info.data_id), bytes = Empty,
            otel.status_code = Empty
        );
        Self { stop, part: Some(info), bytes, span, read: 0 }
    }
}

impl Drop for SmallInput {
    fn drop(&mut self) {
        self.span.record("bytes", self.read);
    }
}

#[async_trait]
impl PartStream for SmallInput {
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError> {
        if self.stop.is_cancelled() {
            return Err(PortError::cancelled());
        }
        if self.part.is_none() {
            // The runner skips the rest.
            self.bytes = Bytes::new();
        }
        Ok(self.part.take())
    }

    async fn read(&mut self, max_bytes: usize) -> Result<Bytes, PortError> {
        if max_bytes == 0 || self.part.is_some() {
            return Err(PortError::invalid(READ_OF_NOTHING));
        }
        if self.stop.is_cancelled() {
            return Err(PortError::cancelled());
        }
        let bytes = self.bytes.split_to(self.bytes.len().min(max_bytes));
        self.read += bytes.len() as u64;
        Ok(bytes)
    }

    fn whole(&mut self, most: u64) -> Option<(PartInfo, Bytes)> {
        if self.stop.is_cancelled() || self.bytes.len() as u64 > most {
            return None;
        }
        let part = self.part.take()?;
        self.read = self.bytes.len() as u64;
        Some((part, std::mem::take(&mut self.bytes)))
    }
}
