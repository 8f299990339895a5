//! An artifact in one request: create or update (protocol 6.8).

use bytes::Bytes;
use reqwest::Method;
use uuid::Uuid;

use super::access::Access;
use super::buffer::Source;
use super::call::Call;
use super::error::StorageError;
use super::lookup::Existing;
use super::payload::Payload;
use super::wire::{self, Metadata, MetadataList, sane_id};

const WHAT: &str = "storing an artifact";
/// Requests that a name that comes and goes under our hands may cost.
const MAX_ROUNDS: u32 = 4;

/// What the server has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub id: Option<String>,
    pub updated_at: Option<String>,
}

/// The lines around the bytes.
struct Frame {
    boundary: String,
    head: Bytes,
    tail: Bytes,
}

impl Frame {
    fn new(name: &str, data_type: &str, existing: &Existing) -> Self {
        // Random, so that no artifact can hold it, not even by intent.
        let boundary = Uuid::new_v4().simple().to_string();
        let disposition = match existing.id() {
            Some(id) => format!("id=\"{}\"", escape(id)),
            None => format!("name=\"{}\"; data-type=\"{}\"", escape(name), escape(data_type)),
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
pub(super) fn request_bytes(name: &str, data_type: &str, existing: &Existing, size: u64) -> u64 {
    let frame = Frame::new(name, data_type, existing);
    (frame.head.len() + frame.tail.len()) as u64 + size
}

/// Text inside quotes; line ends as browsers write them, though no name that passes the check has any.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\r', "%0D").replace('\n', "%0A")
}

/// Stores an artifact: an update of what exists, else a create. What the two answer decides, not what
/// was known before: a name that turns out to be taken is updated, and an id that turns out to be gone
/// is created anew.
pub(super) async fn store(
    access: &Access,
    name: &str,
    data_type: &str,
    mut existing: Existing,
    source: &Source,
) -> Result<Stored, StorageError> {
    let mut round = 0;
    loop {
        round += 1;
        let error = match send(access, name, data_type, &existing, source).await {
            Ok(answer) => return checked(name, &existing, answer, source.size()),
            Err(error) => error,
        };
        existing = match (error.status(), &existing) {
            _ if round >= MAX_ROUNDS => return Err(error),
            (Some(409), Existing::None | Existing::Unknown) => {
                match access.find_existing(name, data_type).await? {
                    found @ Existing::Found { .. } => found,
                    _ => return Err(error),
                }
            }
            (Some(404), Existing::Found { .. }) => Existing::None,
            _ => return Err(error),
        };
    }
}

async fn send(
    access: &Access,
    name: &str,
    data_type: &str,
    existing: &Existing,
    source: &Source,
) -> Result<Option<Metadata>, StorageError> {
    let Frame { boundary, head, tail } = Frame::new(name, data_type, existing);
    let payload = Payload::of(head, source, tail);
    let method = if existing.id().is_some() { Method::PUT } else { Method::POST };
    let call = Call::new(WHAT, method, access.data_url())
        .body(format!("multipart/form-data; boundary={boundary}"), payload);
    let body = access.fetch(&call).await?;
    let list: MetadataList = wire::decode(WHAT, &body)?;
    Ok(list.data.unwrap_or_default().into_iter().next())
}

/// Compares what the server says with what was sent.
pub(super) fn checked(
    name: &str,
    existing: &Existing,
    answer: Option<Metadata>,
    sent: u64,
) -> Result<Stored, StorageError> {
    let answer = answer.unwrap_or_default();
    if let Some(stored) = answer.size.filter(|stored| *stored != sent) {
        return Err(StorageError::SizeMismatch { name: name.to_owned(), sent, stored });
    }
    let id = sane_id(answer.id).or_else(|| existing.id().map(str::to_owned));
    Ok(Stored { id, updated_at: answer.updated_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_test_counts_as_the_protocol_does() {
        // Protocol 6.6 counts with the eight letters of `boundary`; ours has 32, twice.
        let longer = 2 * (32 - "boundary".len() as u64);
        let create = request_bytes("name", "ply", &Existing::None, 1000);
        assert_eq!(create, 125 + 4 + 3 + 1000 + longer);
        let update = request_bytes("name", "ply", &Existing::Given("12345".into()), 1000);
        assert_eq!(update, 109 + 5 + 1000 + longer);
    }

    #[test]
    fn nothing_escapes_from_a_quoted_name() {
        assert_eq!(escape("a\"; x=\"\\\r\nEvil: 1"), "a\\\"; x=\\\"\\\\%0D%0AEvil: 1");
    }
}
