//! Whether data of a name and type is in the domain already (protocol 6.1 and 6.10).

use std::time::Duration;

use posemesh_domain_data::cid::DataQuery;
use reqwest::Method;

use crate::api::call::ApiCall;
use crate::api::error::DomainError;
use crate::api::task_client::TaskClient;
use crate::api::wire::{self, Metadata, MetadataList, valid_id};

/// Time for the answer, if `first_byte_timeout` is longer: a lookup must not take the time that storing needs.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a list of what has one name.
const MAX_LIST_BYTES: usize = 1 << 20;

/// What an artifact would replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExistingData {
    /// The id that the runner gave.
    Given(String),
    /// The id that this task or the server knows, with the time of its last change if that is known.
    Found { id: String, updated_at: Option<String> },
    /// Nothing.
    None,
    /// The server did not answer; creating will show.
    Unknown,
}

impl ExistingData {
    /// The id to update.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::Given(id) | Self::Found { id, .. } => Some(id),
            Self::None | Self::Unknown => None,
        }
    }
}

impl From<Option<Metadata>> for ExistingData {
    /// What a lookup has found.
    fn from(found: Option<Metadata>) -> Self {
        let Some(Metadata { id, updated_at, .. }) = found else { return Self::None };
        // Data without a usable id cannot be updated, so it is treated as if it were not there.
        valid_id(id).map_or(Self::None, |id| Self::Found { id, updated_at })
    }
}

/// Finds the data with exactly this name and type. `change` says how the request is made; as it is, for as long as it takes.
///
/// # Errors
/// As the request failed.
pub(crate) async fn find(
    client: &TaskClient,
    name: &str,
    data_type: &str,
    change: impl FnOnce(ApiCall) -> ApiCall,
) -> Result<Option<Metadata>, DomainError> {
    const WHAT: &str = "looking an artifact up by its name";
    let query =
        DataQuery { ids: Vec::new(), name: Some(name.to_owned()), data_type: Some(data_type.to_owned()) };
    let url = client.server().data_url(query.to_query_string().as_deref());
    let timeout = client.settings().first_byte_timeout.min(TIMEOUT);
    let call = ApiCall::new(WHAT, Method::GET, url).accept("application/json");
    let call = change(call.first_byte_timeout(timeout).max_answer_bytes(MAX_LIST_BYTES));
    let body = match client.fetch(&call).await {
        Err(error) if error.status() == Some(404) => return Ok(None),
        other => other?,
    };
    let list: MetadataList = wire::decode(WHAT, &body)?;
    // Servers may treat filters as patterns.
    let is_same = |entry: &Metadata| {
        entry.name.as_deref() == Some(name) && entry.data_type.as_deref() == Some(data_type)
    };
    Ok(list.data.unwrap_or_default().into_iter().find(is_same))
}

/// What an artifact of this name and type would replace, asked before that has to be known. `None` if that can't be said: it
/// has to be asked again when it is needed.
pub(crate) async fn find_early(client: &TaskClient, name: &str, data_type: &str) -> Option<ExistingData> {
    let found = find(client, name, data_type, |call| call.optional().max_attempts(1)).await;
    found.map(ExistingData::from).ok()
}

/// What an artifact of this name and type would replace. A failed lookup is [`ExistingData::Unknown`].
///
/// # Errors
/// Only those that every further request would have too: no token, or a server that is refused.
pub(crate) async fn find_existing(
    client: &TaskClient,
    name: &str,
    data_type: &str,
) -> Result<ExistingData, DomainError> {
    // Few attempts: without an answer the artifact is stored all the same, and a 409 then shows what exists.
    match find(client, name, data_type, |call| call.max_attempts(2)).await {
        Ok(found) => Ok(found.into()),
        Err(error @ (DomainError::MissingToken(_) | DomainError::ServerRefused(_))) => Err(error),
        Err(error) => {
            tracing::debug!(task_id = %client.task_id(), %error, "going on without knowing");
            Ok(ExistingData::Unknown)
        }
    }
}

/// What has this name and type, where that has to be known: without an answer the artifact can't be stored.
///
/// # Errors
/// As the request failed.
pub(crate) async fn find_taken(
    client: &TaskClient,
    name: &str,
    data_type: &str,
) -> Result<Option<Metadata>, DomainError> {
    find(client, name, data_type, |call| call).await
}
