//! A session that is open at the server.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinSet};
use url::Url;
use url::form_urlencoded::byte_serialize;

use crate::api::error::DomainError;
use crate::api::task_client::TaskClient;
use crate::upload::aborts::AbortTracker;
use crate::upload::context::UploadContext;
use crate::upload::multipart::abort::abort;

/// Parts that a session can have.
pub(super) const MAX_PARTS: u32 = 10_000;

/// A part that the server has stored.
#[derive(Debug)]
pub(super) struct UploadedPart {
    pub(super) number: u32,
    pub(super) etag: String,
}

/// A session and its parts in flight. Dropped before [`OpenSession::close`], it is aborted.
pub(super) struct OpenSession {
    client: Arc<TaskClient>,
    aborts: AbortTracker,
    /// Encoded for a query.
    upload_id: String,
    parts: JoinSet<Result<UploadedPart, DomainError>>,
    is_closed: bool,
    /// Where the abort runs: the session may be dropped on a thread that has no runtime.
    runtime: Handle,
}

impl OpenSession {
    /// Takes over a session that the server has begun.
    pub(super) fn new(context: &UploadContext, upload_id: &str) -> Self {
        Self {
            client: Arc::clone(&context.client),
            aborts: context.aborts.clone(),
            // The id is the server's text: unencoded it could add parameters of its own to each request.
            upload_id: byte_serialize(upload_id.as_bytes()).collect(),
            parts: JoinSet::new(),
            is_closed: false,
            runtime: Handle::current(),
        }
    }

    pub(super) fn client(&self) -> &Arc<TaskClient> {
        &self.client
    }

    pub(super) fn url(&self) -> Url {
        self.client.server().session_url(&format!("uploadId={}", self.upload_id))
    }

    pub(super) fn part_url(&self, number: u32) -> Url {
        self.client.server().session_url(&format!("uploadId={}&partNumber={number}", self.upload_id))
    }

    pub(super) fn spawn_part(
        &mut self,
        upload: impl Future<Output = Result<UploadedPart, DomainError>> + Send + 'static,
    ) {
        self.parts.spawn(upload);
    }

    pub(super) fn parts_in_flight(&self) -> usize {
        self.parts.len()
    }

    /// Waits for a part in flight; `None` if there is none.
    pub(super) async fn join_part(&mut self) -> Result<Option<UploadedPart>, DomainError> {
        joined(self.parts.join_next().await)
    }

    /// A part that has ended, if there is one.
    pub(super) fn try_join_part(&mut self) -> Result<Option<UploadedPart>, DomainError> {
        joined(self.parts.try_join_next())
    }

    /// The server has completed the session: there is nothing to abort any more.
    pub(super) fn close(mut self) {
        self.is_closed = true;
    }
}

fn joined(
    part: Option<Result<Result<UploadedPart, DomainError>, JoinError>>,
) -> Result<Option<UploadedPart>, DomainError> {
    part.map(|part| part.map_err(|_| DomainError::Cancelled)?).transpose()
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        if self.is_closed {
            return;
        }
        let (client, url) = (Arc::clone(&self.client), self.url());
        let mut parts = std::mem::take(&mut self.parts);
        self.aborts.spawn(&self.runtime, async move {
            // A part that arrives after the abort would never be removed.
            parts.shutdown().await;
            abort(&client, url).await;
        });
    }
}
