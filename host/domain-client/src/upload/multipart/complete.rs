//! Completes a session.

use reqwest::Method;

use crate::api::call::ApiCall;
use crate::api::error::DomainError;
use crate::api::lookup::{self, ExistingData};
use crate::api::payload::Payload;
use crate::api::task_client::TaskClient;
use crate::api::wire::{self, CompleteBody, CompletePart, Metadata};
use crate::upload::multipart::session::OpenSession;
use crate::upload::stored::StoredData;
use crate::upload::target::ArtifactTarget;

const WHAT: &str = "completing an upload";

/// What a session is completed to.
pub(super) struct Completion<'a> {
    pub(super) target: &'a ArtifactTarget,
    pub(super) existing: &'a ExistingData,
    /// What the server calls the data that the session makes, if it has said so.
    pub(super) data_id: Option<&'a str>,
    /// The artifact's size in bytes.
    pub(super) size: u64,
}

impl Completion<'_> {
    /// Asks the server to put the parts together.
    ///
    /// # Errors
    /// As the request fails. The session is aborted then.
    pub(super) async fn send(
        self,
        session: OpenSession,
        parts: Vec<CompletePart>,
    ) -> Result<StoredData, DomainError> {
        let client = session.client();
        self.check_name(client).await?;
        let body = wire::encode(WHAT, &CompleteBody { parts })?;
        // The server may have to put many GiB together; asking again too early would not help it.
        let call = ApiCall::new(WHAT, Method::POST, session.url())
            .body("application/json", Payload::from(body))
            .first_byte_timeout(client.settings().long_first_byte_timeout());
        let answer: Metadata = match client.fetch(&call).await {
            Ok(answer) => wire::decode(WHAT, &answer)?,
            Err(error) => self.find_completed(client, error).await?,
        };
        // Only after success: until then, dropping the session has to abort it.
        session.close();
        StoredData::from_answer(answer, &self.target.name, self.existing, self.size)
    }

    /// Completing replaces what has the artifact's name by now (protocol 6.9). One that may not replace everything looks once
    /// more, since its runner may have taken long.
    ///
    /// # Errors
    /// [`DomainError::NotReplaceable`] when there is such data; as the lookup failed, since no 409 would show it here.
    async fn check_name(&self, client: &TaskClient) -> Result<(), DomainError> {
        if self.target.replaceable.is_anything() || self.existing.id().is_some() {
            return Ok(());
        }
        let found = lookup::find_taken(client, &self.target.name, &self.target.data_type).await?;
        let found = ExistingData::from(found);
        // A server may list what it has begun to store.
        if found.id().is_some() && found.id() == self.data_id {
            return Ok(());
        }
        self.target.permitted(found).map(drop)
    }

    /// A session that is gone when a repeated attempt arrives may have been completed by the attempt before, whose
    /// answer was lost. That counts only if the data is there, has the right size, and is not what was there before.
    ///
    /// # Errors
    /// The failure itself when the data is not there.
    async fn find_completed(&self, client: &TaskClient, error: DomainError) -> Result<Metadata, DomainError> {
        // A first attempt cannot have been preceded by one that succeeded, so its refusal is meant.
        if !(error.is_repeated() && matches!(error.status(), Some(404 | 409 | 410))) {
            return Err(error);
        }
        let Ok(Some(found)) =
            lookup::find(client, &self.target.name, &self.target.data_type, |call| call).await
        else {
            return Err(error);
        };
        let is_new = match self.existing {
            ExistingData::None => true,
            ExistingData::Found { id, updated_at: Some(before) } => {
                found.id.as_ref() == Some(id) && found.updated_at.as_ref().is_some_and(|now| now != before)
            }
            ExistingData::Found { .. } | ExistingData::Given(_) | ExistingData::Unknown => false,
        };
        if is_new && found.size == Some(self.size) { Ok(found) } else { Err(error) }
    }
}
