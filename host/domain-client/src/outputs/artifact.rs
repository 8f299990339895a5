//! An artifact as its writer sees it: bytes in, hash and size out, errors with the artifact's path.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use posemesh_net::trace::TARGET;
use posemesh_runner_api::ports::{Artifact, ArtifactWriter, PortError};
use posemesh_text::one_line;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Span, info_span};

use crate::api::error::DomainError;
use crate::digest::RunningDigest;
use crate::stop::until_stopped;
use crate::upload::context::UploadContext;
use crate::upload::target::ArtifactTarget;
use crate::upload::writer::ArtifactUpload;

/// An artifact that is being written.
pub(super) struct DomainArtifact {
    context: Arc<UploadContext>,
    target: Arc<ArtifactTarget>,
    /// `None` after a failure, or a call that was dropped half-way: the upload was dropped, and so aborted.
    upload: Option<ArtifactUpload>,
    digest: RunningDigest,
    stop: CancellationToken,
    /// The transfer in its task's trace; ends with the artifact.
    span: Span,
    /// The artifact's place among the open artifacts.
    _slot: OwnedSemaphorePermit,
}

impl DomainArtifact {
    pub(super) fn new(
        context: Arc<UploadContext>,
        target: ArtifactTarget,
        slot: OwnedSemaphorePermit,
        stop: CancellationToken,
    ) -> Self {
        let target = Arc::new(target);
        let upload = Some(ArtifactUpload::new(Arc::clone(&context), Arc::clone(&target)));
        let path = one_line(&target.logical_path, 120);
        let span = info_span!(
            target: TARGET, parent: context.client.span(), "upload", path, bytes = Empty, otel.status_code = Empty
        );
        Self { context, target, upload, digest: RunningDigest::default(), stop, span, _slot: slot }
    }

    fn take_upload(&mut self) -> Result<ArtifactUpload, DomainError> {
        self.upload.take().ok_or_else(|| {
            let path = &self.target.logical_path;
            DomainError::Invalid(format!("the artifact `{path}` has failed or was aborted; create it again"))
        })
    }

    fn error(&self, error: DomainError) -> PortError {
        self.span.record("otel.status_code", "ERROR");
        let path = one_line(&self.target.logical_path, 120);
        self.context.client.port_error(error).about(&format!("artifact {path}"))
    }
}

#[async_trait]
impl ArtifactWriter for DomainArtifact {
    async fn write(&mut self, bytes: Bytes) -> Result<(), PortError> {
        let stop = self.stop.clone();
        let upload = self.take_upload();
        // The upload moves into the work: if a stop drops the work, the upload goes with it and is aborted.
        let written = until_stopped(&stop, async {
            let upload = upload?;
            // Over the bytes as the runner wrote them, before they are cut into parts or wait in a file.
            self.digest.add(bytes.clone()).await?;
            upload.write(bytes).await
        });
        let upload = written.await.map_err(|error| self.error(error))?;
        self.upload = Some(upload);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Artifact, PortError> {
        let upload = self.take_upload();
        let stored = until_stopped(&self.stop, async {
            let upload = upload?;
            let size = upload.size();
            let (stored, sha256) = tokio::join!(upload.finish(), self.digest.hex());
            Ok((size, sha256?, stored?))
        });
        let (size, sha256, stored) = stored.await.map_err(|error| self.error(error))?;
        let artifact = Artifact {
            logical_path: self.target.logical_path.clone(),
            name: self.target.name.clone(),
            data_type: self.target.data_type.clone(),
            id: stored.id.clone(),
            size,
            sha256,
        };
        self.span.record("bytes", size);
        let context = &self.context;
        // Only after the server has stored it: the index is what the task's result reports.
        context.index.finish(&self.target, stored, &artifact);
        context.client.traffic().stored(&artifact);
        tracing::info!(
            task_id = %context.client.task_id(), logical_path = %artifact.logical_path, name = %artifact.name,
            data_type = %artifact.data_type, id = artifact.id.as_deref(), size = artifact.size,
            sha256 = %artifact.sha256, "stored an artifact"
        );
        Ok(artifact)
    }
}
