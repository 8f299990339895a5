//! What has to be known before it is decided how an artifact is sent (protocol 6.6).

use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use crate::api::error::DomainError;
use crate::api::lookup::{self, ExistingData};
use crate::upload::context::UploadContext;
use crate::upload::simple;
use crate::upload::target::ArtifactTarget;

/// What the server takes, and what the artifact replaces.
pub(super) struct UploadPlan {
    pub(super) existing: ExistingData,
    /// Whether the server has upload sessions, if it says.
    pub(super) sessions: Option<bool>,
    /// Bytes of the largest request that the server takes, if it says.
    pub(super) max_request_bytes: Option<u64>,
}

/// A look for what an artifact replaces, which goes on while its runner writes: one request less to wait for at its end.
pub(super) struct EarlyLookup(Option<AbortOnDropHandle<Option<ExistingData>>>);

impl EarlyLookup {
    /// Begins to look, unless that is known, or the artifact may not replace everything: what comes under its name while its
    /// runner writes must not be taken for its own.
    pub(super) fn begin(context: &Arc<UploadContext>, target: &Arc<ArtifactTarget>) -> Self {
        if !target.replaceable.is_anything() || context.index.known_existing(target).is_some() {
            return Self(None);
        }
        let (client, target) = (Arc::clone(&context.client), Arc::clone(target));
        let look = async move { lookup::find_early(&client, &target.name, &target.data_type).await };
        Self(Some(AbortOnDropHandle::new(tokio::spawn(look))))
    }

    /// What was found; `None` if it has to be asked again.
    async fn found(self) -> Option<ExistingData> {
        // One that has panicked has found nothing.
        self.0?.await.ok().flatten()
    }
}

impl UploadPlan {
    /// Asks the server for its limits and for what the artifact replaces, both at the same time.
    ///
    /// # Errors
    /// Only when every further request would fail too.
    pub(super) async fn make(
        context: &UploadContext,
        target: &ArtifactTarget,
        early: EarlyLookup,
    ) -> Result<Self, DomainError> {
        let client = &context.client;
        let existing = async {
            // Once more: another artifact of this task may have been stored there meanwhile.
            if let Some(existing) = context.index.known_existing(target) {
                return Ok(existing);
            }
            let found = match early.found().await {
                Some(found) => found,
                None => lookup::find_existing(client, &target.name, &target.data_type).await?,
            };
            target.permitted(found)
        };
        let (info, existing) = tokio::join!(context.info.upload_info(client), existing);
        Ok(Self {
            existing: existing?,
            sessions: info.map(|info| info.multipart.enabled),
            max_request_bytes: info.and_then(|info| info.limit()),
        })
    }

    /// Checks that the artifact, with so many bytes, fits into one request.
    ///
    /// # Errors
    /// [`DomainError::TooLarge`] when it does not.
    pub(super) fn check_fit(&self, target: &ArtifactTarget, size: u64) -> Result<(), DomainError> {
        let Some(limit) = self.max_request_bytes else { return Ok(()) };
        let size = simple::request_bytes(target, &self.existing, size);
        if size <= limit {
            return Ok(());
        }
        Err(DomainError::TooLarge { name: target.name.clone(), size, limit })
    }
}
