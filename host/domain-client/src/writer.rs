//! An artifact on its way (protocol 6.6): first in a buffer, then by what it turns out to be.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use posemesh_domain_data::excerpt;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use super::access::Access;
use super::buffer::Buffer;
use super::error::StorageError;
use super::lookup::Existing;
use super::output::{Book, Target};
use super::session::Session;
use super::single::{self, Stored};
use super::wire::UploadInfo;
use posemesh_runner_api::ports::{Artifact, ArtifactWriter, PortError};

/// How much is hashed before others get a turn.
const HASH_STEP: usize = 256 << 10;

pub(super) struct Writer {
    access: Arc<Access>,
    book: Arc<Book>,
    target: Target,
    stage: Stage,
    size: u64,
    hash: Sha256,
    /// Its place among the open artifacts.
    _open: OwnedSemaphorePermit,
}

enum Stage {
    /// Small so far: all of it is here.
    Small(Buffer),
    /// Growing, and sent part by part.
    Session(Session),
    /// Growing, for a server without sessions, which has this limit.
    Whole { buffer: Buffer, existing: Existing, limit: Option<u64> },
    /// An error was told, or a call was given up half-way. Nothing is left to be done.
    Over,
}

impl Writer {
    pub fn new(access: Arc<Access>, book: Arc<Book>, target: Target, open: OwnedSemaphorePermit) -> Self {
        let stage = Stage::Small(Buffer::in_memory(&access));
        Self { access, book, target, stage, size: 0, hash: Sha256::new(), _open: open }
    }

    async fn append(&mut self, mut bytes: Bytes) -> Result<(), StorageError> {
        // Whatever fails or is given up below leaves the artifact over, and its session given up.
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        if matches!(stage, Stage::Over) {
            return Err(over(&self.target));
        }
        self.book.spend(&self.access, bytes.len() as u64)?;
        self.size += bytes.len() as u64;
        for step in bytes.chunks(HASH_STEP) {
            self.hash.update(step);
            tokio::task::yield_now().await;
        }
        self.stage = match stage {
            Stage::Small(mut buffer) => {
                buffer.push(&mut bytes).await?;
                if buffer.size() > self.access.settings().buffer_bytes {
                    self.grow(buffer).await?
                } else {
                    Stage::Small(buffer)
                }
            }
            Stage::Session(mut session) => {
                session.write(bytes).await?;
                Stage::Session(session)
            }
            Stage::Whole { mut buffer, existing, limit } => {
                self.check_fit(&existing, limit)?;
                buffer.push(&mut bytes).await?;
                Stage::Whole { buffer, existing, limit }
            }
            Stage::Over => Stage::Over,
        };
        Ok(())
    }

    /// The artifact is too large to be left waiting.
    async fn grow(&self, start: Buffer) -> Result<Stage, StorageError> {
        let (info, existing) = self.ask().await?;
        let sessions = info.map(|info| info.multipart.enabled);
        if sessions != Some(false)
            && let Some(mut session) = self.begin_session(existing.clone(), None, sessions).await?
        {
            session.write_all(start).await?;
            return Ok(Stage::Session(session));
        }
        let limit = info.and_then(|info| info.limit());
        self.check_fit(&existing, limit)?;
        Ok(Stage::Whole { buffer: start, existing, limit })
    }

    async fn commit(&mut self) -> Result<Stored, StorageError> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Small(buffer) => self.commit_small(buffer).await,
            Stage::Session(session) => session.finish(self.size).await,
            Stage::Whole { mut buffer, existing, .. } => self.send_whole(existing, &mut buffer).await,
            Stage::Over => Err(over(&self.target)),
        }
    }

    /// All bytes are here, and their number is known.
    async fn commit_small(&self, mut all: Buffer) -> Result<Stored, StorageError> {
        let (info, existing) = self.ask().await?;
        let sessions = info.map(|info| info.multipart.enabled);
        let fits = self.check_fit(&existing, info.and_then(|info| info.limit()));
        let refused = match fits {
            Ok(()) => match self.send_whole(existing.clone(), &mut all).await {
                // The protocol lets an artifact be empty; a server need not, and a session has no part for it.
                Err(error) if self.size == 0 && matches!(error.status(), Some(400 | 413 | 422)) => {
                    let name = self.target.name.clone();
                    return Err(StorageError::EmptyRefused { name, why: error.to_string() });
                }
                // The server has a limit that it did not tell; in parts it may do.
                Err(error) if error.status() == Some(413) => error,
                other => return other,
            },
            Err(error) => error,
        };
        if sessions == Some(false) {
            return Err(refused);
        }
        match self.begin_session(existing, Some(self.size), sessions).await? {
            Some(mut session) => {
                session.write_all(all).await?;
                session.finish(self.size).await
            }
            None => Err(refused),
        }
    }

    /// What there is to know before the way is chosen.
    async fn ask(&self) -> Result<(Option<UploadInfo>, Existing), StorageError> {
        let existing = self.book.existing(&self.access, &self.target);
        let (info, existing) = tokio::join!(self.access.upload_info(), existing);
        Ok((info, existing?))
    }

    async fn begin_session(
        &self,
        existing: Existing,
        size: Option<u64>,
        sessions: Option<bool>,
    ) -> Result<Option<Session>, StorageError> {
        let Target { name, data_type, .. } = &self.target;
        Session::begin(&self.access, name, data_type, existing, size, sessions).await
    }

    async fn send_whole(&self, existing: Existing, buffer: &mut Buffer) -> Result<Stored, StorageError> {
        let Target { name, data_type, .. } = &self.target;
        let source = buffer.source().await?;
        single::store(&self.access, name, data_type, existing, &source).await
    }

    /// Whether the artifact, as large as it is so far, fits into one request.
    fn check_fit(&self, existing: &Existing, limit: Option<u64>) -> Result<(), StorageError> {
        let Some(limit) = limit else { return Ok(()) };
        let Target { name, data_type, .. } = &self.target;
        let size = single::request_bytes(name, data_type, existing, self.size);
        if size <= limit { Ok(()) } else { Err(self.too_large(size, limit)) }
    }

    fn named(&self, error: StorageError) -> PortError {
        PortError::from(error).about(&format!("artifact {}", excerpt(&self.target.logical_path, 120)))
    }

    fn too_large(&self, size: u64, limit: u64) -> StorageError {
        StorageError::TooLarge { name: self.target.name.clone(), size, limit }
    }
}

fn over(target: &Target) -> StorageError {
    let path = &target.logical_path;
    StorageError::Invalid(format!("the artifact `{path}` has failed or was given up; create it again"))
}

#[async_trait]
impl ArtifactWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<(), PortError> {
        let access = Arc::clone(&self.access);
        let result = access.until_stopped(self.append(bytes)).await.inspect_err(|_| self.stage = Stage::Over);
        result.map_err(|error| self.named(error))
    }

    async fn finish(mut self: Box<Self>) -> Result<Artifact, PortError> {
        let access = Arc::clone(&self.access);
        let stored = access.until_stopped(self.commit()).await.map_err(|error| self.named(error))?;
        let artifact = Artifact {
            logical_path: self.target.logical_path.clone(),
            name: self.target.name.clone(),
            data_type: self.target.data_type.clone(),
            id: stored.id.clone(),
            size: self.size,
            sha256: hex::encode(self.hash.finalize_reset()),
        };
        self.book.finish(&self.target, stored, &artifact);
        access.traffic().stored(&artifact);
        tracing::info!(
            task_id = %access.task_id(), logical_path = %artifact.logical_path, name = %artifact.name,
            data_type = %artifact.data_type, id = artifact.id.as_deref(), size = artifact.size,
            sha256 = %artifact.sha256, "stored an artifact"
        );
        Ok(artifact)
    }
}
