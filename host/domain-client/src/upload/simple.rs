//! An artifact in one request: create or update (protocol 6.8).

use bytes::Bytes;
use reqwest::Method;
use uuid::Uuid;

use crate::api::call::ApiCall;
use crate::api::error::DomainError;
use crate::api::lookup::{self, ExistingData};
use crate::api::payload::{Content, Payload};
use crate::api::task_client::TaskClient;
use crate::api::wire::{self, Metadata, MetadataList};
use crate::upload::stored::StoredData;
use crate::upload::target::ArtifactTarget;

const WHAT: &str = "storing an artifact";
/// Requests for one artifact, in case its name appears and disappears while it is stored.
pub(super) const MAX_ROUNDS: u32 = 4;

/// The lines around the bytes.
struct FormFrame {
    boundary: String,
    head: Bytes,
    tail: Bytes,
}

impl FormFrame {
    fn new(target: &ArtifactTarget, existing: &ExistingData) -> Self {
        // Random, so that no artifact can contain it, not even by intent.
        let boundary = Uuid::new_v4().simple().to_string();
        let disposition = match existing.id() {
            Some(id) => format!("id=\"{}\"", quoted(id)),
            None => format!("name=\"{}\"; data-type=\"{}\"", quoted(&target.name), quoted(&target.data_type)),
        };
        let head = format!(
            "--{boundary}\r\nContent-Type: application/octet-stream\r\n\
             Content-Disposition: form-data; {disposition}\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        Self { boundary, head: head.into(), tail: tail.into() }
    }
}

/// The bytes of the request that would store so many bytes (the fit test of protocol 6.6).
pub(super) fn request_bytes(target: &ArtifactTarget, existing: &ExistingData, size: u64) -> u64 {
    let frame = FormFrame::new(target, existing);
    (frame.head.len() + frame.tail.len()) as u64 + size
}

/// Text for inside quotes; line ends as browsers write them, though no name that passes the check has any.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\r', "%0D").replace('\n', "%0A")
}

/// Stores an artifact: an update of what exists, else a create. The answer decides, not what was known before: a
/// name that turns out to be taken is updated, and an id that turns out to be gone is created anew.
///
/// # Errors
/// As the last request failed.
pub(super) async fn store(
    client: &TaskClient,
    target: &ArtifactTarget,
    mut existing: ExistingData,
    content: &Content,
) -> Result<StoredData, DomainError> {
    let mut round = 0;
    loop {
        round += 1;
        let error = match send(client, target, &existing, content.clone()).await {
            Ok(answer) => return StoredData::from_answer(answer, &target.name, &existing, content.size()),
            Err(error) => error,
        };
        existing = match after_refusal(client, target, &existing, &error, Some(content.size())).await? {
            Some(existing) if round < MAX_ROUNDS => existing,
            _ => return Err(not_there(error, &existing)),
        };
    }
}

/// The refusal of an id that the runner gave, in words: that it is not there is the task's doing, not the server's.
fn not_there(error: DomainError, existing: &ExistingData) -> DomainError {
    match existing {
        ExistingData::Given(id) if error.status() == Some(404) => {
            DomainError::NoSuchData(format!("the artifact's existing id {id}; {error}"))
        }
        _ => error,
    }
}

/// What an artifact replaces after all, if a refusal shows that it is not what was thought; `None` if the refusal says
/// nothing of that. `stores` is the size of what an earlier attempt may have stored, if the request stores anything.
///
/// # Errors
/// As the lookup of a name that is taken failed.
pub(super) async fn after_refusal(
    client: &TaskClient,
    target: &ArtifactTarget,
    existing: &ExistingData,
    refusal: &DomainError,
    stores: Option<u64>,
) -> Result<Option<ExistingData>, DomainError> {
    match (refusal.status(), existing) {
        // Another writer took the name after it was looked up, or it could not be looked up at all.
        (Some(409), ExistingData::None | ExistingData::Unknown) => {
            let found = lookup::find_taken(client, &target.name, &target.data_type).await?;
            // After a lookup that found nothing, data of the same size that a repeated request meets is most likely this very
            // artifact, whose answer was lost. A first one has stored nothing.
            let same_size = stores.is_some() && found.as_ref().and_then(|found| found.size) == stores;
            let is_own = *existing == ExistingData::None && refusal.is_repeated() && same_size;
            let found = ExistingData::from(found);
            let found = if is_own { found } else { target.permitted(found)? };
            Ok(Some(found).filter(|found| found.id().is_some()))
        }
        // Only for an id that was looked up: one that the runner gave must not turn into new data.
        (Some(404), ExistingData::Found { .. }) => Ok(Some(ExistingData::None)),
        _ => Ok(None),
    }
}

async fn send(
    client: &TaskClient,
    target: &ArtifactTarget,
    existing: &ExistingData,
    content: Content,
) -> Result<Metadata, DomainError> {
    let FormFrame { boundary, head, tail } = FormFrame::new(target, existing);
    let method = if existing.id().is_some() { Method::PUT } else { Method::POST };
    let call = ApiCall::new(WHAT, method, client.server().data_url(None))
        .body(format!("multipart/form-data; boundary={boundary}"), Payload::framed(head, content, tail));
    let body = client.fetch(&call).await?;
    let list: MetadataList = wire::decode(WHAT, &body)?;
    Ok(list.data.unwrap_or_default().into_iter().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_test_counts_as_the_protocol_does() {
        // Protocol 6.6 counts with the eight letters of `boundary`; ours has 32, twice.
        let longer = 2 * (32 - "boundary".len() as u64);
        let target = ArtifactTarget {
            logical_path: "path".into(),
            name: "name".into(),
            data_type: "ply".into(),
            given_id: None,
            replaceable: posemesh_runner_api::replace::Replaceable::anything(),
        };
        let create = request_bytes(&target, &ExistingData::None, 1000);
        assert_eq!(create, 125 + 4 + 3 + 1000 + longer);
        let update = request_bytes(&target, &ExistingData::Given("12345".into()), 1000);
        assert_eq!(update, 109 + 5 + 1000 + longer);
    }

    #[test]
    fn nothing_escapes_from_a_quoted_name() {
        assert_eq!(quoted("a\"; x=\"\\\r\nEvil: 1"), "a\\\"; x=\\\"\\\\%0D%0AEvil: 1");
    }
}
