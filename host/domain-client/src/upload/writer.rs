//! The way of one artifact: into a buffer, and from there as it turns out to be (protocol 6.6).

use std::sync::Arc;

use bytes::Bytes;

use crate::api::error::DomainError;
use crate::upload::buffer::UploadBuffer;
use crate::upload::context::UploadContext;
use crate::upload::multipart::UploadSession;
use crate::upload::plan::{EarlyLookup, UploadPlan};
use crate::upload::simple;
use crate::upload::stored::StoredData;
use crate::upload::target::ArtifactTarget;

/// An artifact that is being uploaded.
///
/// Each step consumes the upload and returns it when it succeeded. So a step that fails, or is dropped while it
/// waits, drops the upload, and with it aborts a session that was begun.
pub(crate) struct ArtifactUpload {
    context: Arc<UploadContext>,
    target: Arc<ArtifactTarget>,
    size: u64,
    state: UploadState,
}

enum UploadState {
    /// Small so far: all bytes are in the buffer, and the way is not chosen yet.
    Buffered(UploadBuffer, EarlyLookup),
    /// Sent part by part.
    InParts(Box<UploadSession>),
    /// Too large for the first buffer, but the server has no sessions: all bytes wait for the one request.
    AtOnce(UploadBuffer, UploadPlan),
}

impl ArtifactUpload {
    pub(crate) fn new(context: Arc<UploadContext>, target: Arc<ArtifactTarget>) -> Self {
        let early = EarlyLookup::begin(&context, &target);
        let state = UploadState::Buffered(UploadBuffer::in_memory(&context.budget), early);
        Self { context, target, size: 0, state }
    }

    /// Bytes that were written.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// As the upload fails.
    pub(crate) async fn write(mut self, mut bytes: Bytes) -> Result<Self, DomainError> {
        self.size += bytes.len() as u64;
        self.state = match self.state {
            UploadState::Buffered(mut buffer, early) => {
                buffer.push(&mut bytes).await?;
                if buffer.size() > self.context.settings.buffer_bytes {
                    choose(&self.context, &self.target, buffer, early).await?
                } else {
                    UploadState::Buffered(buffer, early)
                }
            }
            UploadState::InParts(mut session) => {
                session.write(bytes).await?;
                UploadState::InParts(session)
            }
            UploadState::AtOnce(mut buffer, plan) => {
                // Checked at each write: an artifact that cannot be sent fails before it has filled the disk.
                plan.check_fit(&self.target, self.size)?;
                buffer.push(&mut bytes).await?;
                UploadState::AtOnce(buffer, plan)
            }
        };
        Ok(self)
    }

    /// Stores the artifact.
    ///
    /// # Errors
    /// As the upload fails.
    pub(crate) async fn finish(self) -> Result<StoredData, DomainError> {
        match self.state {
            UploadState::Buffered(buffer, early) => {
                store_buffered(&self.context, &self.target, buffer, early).await
            }
            UploadState::InParts(session) => session.finish(self.size).await,
            UploadState::AtOnce(mut buffer, plan) => {
                let content = buffer.content().await?;
                simple::store(&self.context.client, &self.target, plan.existing, &content).await
            }
        }
    }
}

/// Chooses the way of an artifact that is too large to wait in the first buffer, of unknown size.
async fn choose(
    context: &Arc<UploadContext>,
    target: &Arc<ArtifactTarget>,
    buffer: UploadBuffer,
    early: EarlyLookup,
) -> Result<UploadState, DomainError> {
    let plan = UploadPlan::make(context, target, early).await?;
    // A server that does not say is asked: `begin` finds out whether it has sessions.
    if plan.sessions != Some(false)
        && let Some(mut session) = UploadSession::begin(context, target, &plan, None).await?
    {
        session.write_buffer(buffer).await?;
        return Ok(UploadState::InParts(Box::new(session)));
    }
    plan.check_fit(target, buffer.size())?;
    Ok(UploadState::AtOnce(buffer, plan))
}

/// Stores an artifact that fits into the first buffer: in one request, or in parts if the server wants it so.
async fn store_buffered(
    context: &Arc<UploadContext>,
    target: &Arc<ArtifactTarget>,
    mut buffer: UploadBuffer,
    early: EarlyLookup,
) -> Result<StoredData, DomainError> {
    let size = buffer.size();
    let plan = UploadPlan::make(context, target, early).await?;
    let refusal = match plan.check_fit(target, size) {
        Ok(()) => {
            let content = buffer.content().await?;
            match simple::store(&context.client, target, plan.existing.clone(), &content).await {
                // The protocol lets an artifact be empty; a server need not, and a session has no part for it.
                Err(error) if size == 0 && matches!(error.status(), Some(400 | 413 | 422)) => {
                    let name = target.name.clone();
                    return Err(DomainError::EmptyRefused { name, why: error.to_string() });
                }
                // The server has a limit that it did not say; parts may be below it.
                Err(error) if error.status() == Some(413) => error,
                other => return other,
            }
        }
        Err(error) => error,
    };
    if plan.sessions == Some(false) {
        return Err(refusal);
    }
    match UploadSession::begin(context, target, &plan, Some(size)).await? {
        Some(mut session) => {
            session.write_buffer(buffer).await?;
            session.finish(size).await
        }
        None => Err(refusal),
    }
}
