//! Whether data of a name and kind is in the domain already (protocol 6.1 and 6.10).

use std::time::Duration;

use posemesh_domain_data::cid::Query;
use reqwest::Method;

use super::access::Access;
use super::call::Call;
use super::error::StorageError;
use super::wire::{self, Metadata, MetadataList, sane_id};

/// A lookup is a help and no more: it must not take the time that storing needs.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a list of what has one name.
const LIST_BYTES: usize = 1 << 20;

/// What an artifact would replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Existing {
    /// This id, as the runner said.
    Given(String),
    /// This id, as this task or the server knows, with the time of its last change if that is known.
    Found { id: String, updated_at: Option<String> },
    /// Nothing.
    None,
    /// The server would not say; creating will show.
    Unknown,
}

impl Existing {
    /// The id to update.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Given(id) | Self::Found { id, .. } => Some(id),
            Self::None | Self::Unknown => None,
        }
    }
}

impl Access {
    /// The data with exactly this name and type.
    pub async fn find(&self, name: &str, data_type: &str) -> Result<Option<Metadata>, StorageError> {
        const WHAT: &str = "looking an artifact up by its name";
        let query =
            Query { ids: Vec::new(), name: Some(name.to_owned()), data_type: Some(data_type.to_owned()) };
        let mut url = self.data_url();
        url.set_query(query.to_query_string().as_deref());
        let patience = self.settings().first_byte_timeout.min(PATIENCE);
        let call = Call::new(WHAT, Method::GET, url).accept("application/json");
        let call = call.at_most(2).patience(patience).answer_bytes(LIST_BYTES);
        let body = match self.fetch(&call).await {
            Err(error) if error.status() == Some(404) => return Ok(None),
            other => other?,
        };
        let list: MetadataList = wire::decode(WHAT, &body)?;
        let same = |entry: &Metadata| {
            entry.name.as_deref() == Some(name) && entry.data_type.as_deref() == Some(data_type)
        };
        Ok(list.data.unwrap_or_default().into_iter().find(same))
    }

    /// What an artifact of this name and type would replace. A failure is no obstacle, except one that
    /// concerns every request.
    pub async fn find_existing(&self, name: &str, data_type: &str) -> Result<Existing, StorageError> {
        match self.find(name, data_type).await {
            Ok(Some(Metadata { id, updated_at, .. })) => {
                Ok(sane_id(id).map_or(Existing::None, |id| Existing::Found { id, updated_at }))
            }
            Ok(None) => Ok(Existing::None),
            Err(error @ (StorageError::MissingToken(_) | StorageError::ServerRefused(_))) => Err(error),
            Err(error) => {
                tracing::debug!(task_id = %self.task_id(), %error, "going on without knowing");
                Ok(Existing::Unknown)
            }
        }
    }
}
