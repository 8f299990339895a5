//! The JSON of domain servers (protocol 6.1 and 6.7 to 6.9). Read leniently: fields that are not needed may be
//! missing, null or of another type.

use std::fmt;

use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::api::error::DomainError;

/// Bytes of the longest text of a server that is kept; ids, names and times are shorter.
const MAX_TEXT_BYTES: usize = 1024;
/// Entries of a list that are accepted. A list is only asked for by an exact name.
const MAX_ENTRIES: usize = 1000;

/// What the server says of one item of data.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Metadata {
    #[serde(default, deserialize_with = "text")]
    pub(crate) id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) data_type: Option<String>,
    #[serde(default, deserialize_with = "size")]
    pub(crate) size: Option<u64>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) updated_at: Option<String>,
}

/// The answer to list, create and update.
#[derive(Debug, Deserialize)]
pub(crate) struct MetadataList {
    #[serde(default, deserialize_with = "entries")]
    pub(crate) data: Option<Vec<Metadata>>,
}

/// A short text; anything else counts as absent.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(from)? {
        Value::String(text) if text.len() <= MAX_TEXT_BYTES => Ok(Some(text)),
        _ => Ok(None),
    }
}

fn size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(Value::deserialize(from)?.as_u64())
}

/// A list of bounded length: a longer one is an error rather than a use of memory.
fn entries<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Metadata>>, D::Error> {
    struct BoundedList;
    impl<'de> Visitor<'de> for BoundedList {
        type Value = Option<Vec<Metadata>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX_ENTRIES} entries")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(entry) = list.next_element()? {
                if all.len() == MAX_ENTRIES {
                    return Err(serde::de::Error::invalid_length(MAX_ENTRIES + 1, &self));
                }
                all.push(entry);
            }
            Ok(Some(all))
        }
    }
    from.deserialize_any(BoundedList)
}

/// `GET /api/v1/info`.
#[derive(Debug, Deserialize)]
pub(crate) struct Info {
    pub(crate) upload: UploadInfo,
}

/// Which uploads the server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct UploadInfo {
    /// Bytes of the largest body of a create or update; 0 or less sets no limit.
    pub(crate) request_max_bytes: i64,
    pub(crate) multipart: MultipartInfo,
}

impl UploadInfo {
    /// The largest body of a create or update, if there is such a limit.
    pub(crate) fn limit(&self) -> Option<u64> {
        u64::try_from(self.request_max_bytes).ok().filter(|limit| *limit > 0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct MultipartInfo {
    pub(crate) enabled: bool,
}

/// The body of initiate.
#[derive(Debug, Serialize)]
pub(crate) struct InitiateBody<'a> {
    pub(crate) name: &'a str,
    pub(crate) data_type: &'a str,
    pub(crate) size: Option<u64>,
    pub(crate) content_type: &'static str,
    pub(crate) existing_id: Option<&'a str>,
}

/// The answer to initiate. The size may be any JSON, so that a session with an invalid one can still be aborted by
/// its id.
#[derive(Debug, Deserialize)]
pub(crate) struct Initiated {
    pub(crate) upload_id: String,
    #[serde(default)]
    pub(crate) part_size: Value,
    #[serde(default, deserialize_with = "text")]
    pub(crate) data_id: Option<String>,
}

/// The answer to a part.
#[derive(Debug, Deserialize)]
pub(crate) struct PartStored {
    #[serde(default, deserialize_with = "text")]
    pub(crate) etag: Option<String>,
}

/// The body of complete.
#[derive(Debug, Serialize)]
pub(crate) struct CompleteBody {
    pub(crate) parts: Vec<CompletePart>,
}

#[derive(Debug, Serialize)]
pub(crate) struct CompletePart {
    pub(crate) part_number: u32,
    pub(crate) etag: String,
}

/// Reads an answer.
///
/// # Errors
/// [`DomainError::BadAnswer`] with the place of the mistake. It quotes nothing of the answer, which may hold secrets.
pub(crate) fn decode<T: DeserializeOwned>(what: &'static str, body: &[u8]) -> Result<T, DomainError> {
    serde_json::from_slice(body).map_err(|error| {
        let kind = if error.is_data() { "another shape than expected" } else { "no JSON" };
        let why = format!("{kind}, at line {} column {}", error.line(), error.column());
        DomainError::BadAnswer { what, why }
    })
}

/// Writes a request body.
///
/// # Errors
/// When a value can't be JSON, which none of ours is.
pub(crate) fn encode<T: Serialize>(what: &'static str, body: &T) -> Result<bytes::Bytes, DomainError> {
    let text = serde_json::to_vec(body).map_err(|error| DomainError::BadAnswer {
        what,
        why: format!("the request can't be written: {error}"),
    })?;
    Ok(text.into())
}

/// An id from a server, if it is not empty, short, and printable.
pub(crate) fn valid_id(id: Option<String>) -> Option<String> {
    id.filter(|id| (1..=256).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()))
}
