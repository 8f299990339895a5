//! The JSON that a domain server speaks (protocol 6.1 and 6.7 to 6.9). Read leniently: what is not
//! needed may be missing or null.

use std::fmt;

use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::error::StorageError;

/// The longest text of a server that is kept; ids, names and times are shorter.
const MAX_TEXT: usize = 1024;
/// Entries of a list that are looked at. A list is asked for by an exact name.
const MAX_ENTRIES: usize = 1000;

/// What the server says of one blob.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Metadata {
    #[serde(default, deserialize_with = "text")]
    pub id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub data_type: Option<String>,
    #[serde(default, deserialize_with = "size")]
    pub size: Option<u64>,
    #[serde(default, deserialize_with = "text")]
    pub updated_at: Option<String>,
}

/// The answer to list, create and update.
#[derive(Debug, Deserialize)]
pub(super) struct MetadataList {
    #[serde(default, deserialize_with = "entries")]
    pub data: Option<Vec<Metadata>>,
}

/// Text that is worth keeping; anything else counts as not there.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(from)? {
        Value::String(text) if text.len() <= MAX_TEXT => Ok(Some(text)),
        _ => Ok(None),
    }
}

fn size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(Value::deserialize(from)?.as_u64())
}

/// As many entries as are looked at; more are an error rather than memory.
fn entries<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Metadata>>, D::Error> {
    struct Few;
    impl<'de> Visitor<'de> for Few {
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
    from.deserialize_any(Few)
}

/// `GET /api/v1/info`.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    pub upload: UploadInfo,
}

/// How the server takes uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct UploadInfo {
    /// The largest body of a create or update; 0 or less when it doesn't say.
    pub request_max_bytes: i64,
    pub multipart: MultipartInfo,
}

impl UploadInfo {
    /// The largest body of a create or update, if there is such a limit.
    pub fn limit(&self) -> Option<u64> {
        u64::try_from(self.request_max_bytes).ok().filter(|limit| *limit > 0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct MultipartInfo {
    pub enabled: bool,
}

/// The body of initiate.
#[derive(Debug, Serialize)]
pub(super) struct Initiate<'a> {
    pub name: &'a str,
    pub data_type: &'a str,
    pub size: Option<u64>,
    pub content_type: &'static str,
    pub existing_id: Option<&'a str>,
}

/// The answer to initiate. The size is any JSON, so that a session with a senseless one can still be
/// given up by its id.
#[derive(Debug, Deserialize)]
pub(super) struct Initiated {
    pub upload_id: String,
    #[serde(default)]
    pub part_size: Value,
    #[serde(default, deserialize_with = "text")]
    pub data_id: Option<String>,
}

/// The answer to a part.
#[derive(Debug, Deserialize)]
pub(super) struct PartStored {
    #[serde(default, deserialize_with = "text")]
    pub etag: Option<String>,
}

/// The body of complete.
#[derive(Debug, Serialize)]
pub(super) struct Complete {
    pub parts: Vec<CompletePart>,
}

#[derive(Debug, Serialize)]
pub(super) struct CompletePart {
    pub part_number: u32,
    pub etag: String,
}

/// Reads an answer.
///
/// # Errors
/// Tells where it is wrong but quotes nothing of it: it may hold what is not meant for logs.
pub(super) fn decode<T: DeserializeOwned>(what: &'static str, body: &[u8]) -> Result<T, StorageError> {
    serde_json::from_slice(body).map_err(|error| {
        let kind = if error.is_data() { "another shape than expected" } else { "no JSON" };
        let why = format!("{kind}, at line {} column {}", error.line(), error.column());
        StorageError::BadAnswer { what, why }
    })
}

/// Writes a request body.
pub(super) fn encode<T: Serialize>(what: &'static str, body: &T) -> Result<bytes::Bytes, StorageError> {
    let text = serde_json::to_vec(body).map_err(|error| StorageError::BadAnswer {
        what,
        why: format!("the request can't be written: {error}"),
    })?;
    Ok(text.into())
}

/// An id from a server, if it is one: not empty, short, and printable.
pub(super) fn sane_id(id: Option<String>) -> Option<String> {
    id.filter(|id| (1..=256).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()))
}
