//! An artifact in parts (protocol 6.9): parts go out while the runner still writes.
//!
//! At most `parallelism` parts are in flight while one more is filled. They wait in memory when so many fit there,
//! and in files otherwise, so that memory depends neither on the artifact nor on the part size that the server
//! dictates. A session that is dropped before it is completed is aborted at the server, in the background.

mod abort;
mod begin;
mod complete;
mod parts;
mod session;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;

use crate::api::error::DomainError;
use crate::api::lookup::ExistingData;
use crate::upload::buffer::UploadBuffer;
use crate::upload::context::UploadContext;
use crate::upload::multipart::begin::{BeginRequest, BegunSession};
use crate::upload::multipart::complete::Completion;
use crate::upload::multipart::parts::PartUploads;
use crate::upload::plan::UploadPlan;
use crate::upload::stored::StoredData;
use crate::upload::target::ArtifactTarget;

/// The upload of one artifact in parts.
pub(super) struct UploadSession {
    target: Arc<ArtifactTarget>,
    existing: ExistingData,
    /// The id that the data has or will have, if the server said it at the beginning.
    data_id: Option<String>,
    parts: PartUploads,
}

impl UploadSession {
    /// Begins a session, for an artifact of this size if it is known. `None` if the server has no sessions.
    ///
    /// # Errors
    /// As the request fails, or when the server dictates an unusable part size.
    pub(super) async fn begin(
        context: &Arc<UploadContext>,
        target: &Arc<ArtifactTarget>,
        plan: &UploadPlan,
        size: Option<u64>,
    ) -> Result<Option<Self>, DomainError> {
        let request = BeginRequest { target: Arc::clone(target), existing: plan.existing.clone(), size };
        let begun = begin::begin(context, request, plan.sessions).await?;
        Ok(begun.map(|BegunSession { session, existing, data_id, part_size }| {
            let parts =
                PartUploads::new(session, Arc::clone(&context.budget), target.name.clone(), part_size);
            Self { target: Arc::clone(target), existing, data_id, parts }
        }))
    }

    /// Appends all that a buffer holds.
    ///
    /// # Errors
    /// As the upload of a part fails.
    pub(super) async fn write_buffer(&mut self, mut buffer: UploadBuffer) -> Result<(), DomainError> {
        let mut chunks = buffer.content().await?.chunks();
        while let Some(chunk) = chunks.next().await {
            self.write(chunk.map_err(|error| DomainError::Spool(error.to_string()))?).await?;
        }
        Ok(())
    }

    /// Appends bytes; waits when as many parts are in flight as may be.
    ///
    /// # Errors
    /// As the upload of a part fails.
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<(), DomainError> {
        self.parts.write(bytes).await
    }

    /// Sends what is left and completes the session; `size` is the artifact's, for comparison.
    ///
    /// # Errors
    /// As a request fails.
    pub(super) async fn finish(self, size: u64) -> Result<StoredData, DomainError> {
        let (session, parts) = self.parts.finish().await?;
        let completion = Completion {
            target: &self.target,
            existing: &self.existing,
            data_id: self.data_id.as_deref(),
            size,
        };
        let stored = completion.send(session, parts).await?;
        Ok(StoredData { id: stored.id.or(self.data_id), ..stored })
    }
}
