//! Reads a body to its end, and watches how the reader goes about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use posemesh_domain_data::disposition::Disposition;
use posemesh_domain_data::multipart::{BodyEnd, MultipartError, MultipartEvent, MultipartReader};

use super::LIMITS;

/// What a reader said of a body.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadOutcome {
    /// In the order of the body.
    pub parts: Vec<Part>,
    /// How it ended.
    pub end: Result<BodyEnd, MultipartError>,
}

/// One part.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// What its headers say.
    pub head: Disposition,
    /// Its bytes.
    pub body: Vec<u8>,
    /// Whether the reader said that it is whole.
    pub whole: bool,
}

/// Reads `body` as it arrives in [`pieces`] of `plan`.
pub fn read(boundary: &str, body: &[u8], plan: &[u8]) -> ReadOutcome {
    let mut reader = MultipartReader::new(boundary, LIMITS);
    let mut parts = Vec::new();
    let end = feed(&mut reader, body, plan, &mut parts).and_then(|()| reader.finish());
    if let Ok(ending) = end {
        assert!(parts.iter().all(|part| part.whole), "a regular end left a part open");
        assert!(ending == BodyEnd::Closed || !parts.is_empty(), "no part and no end is not regular");
    }
    ReadOutcome { parts, end }
}

fn feed(
    reader: &mut MultipartReader,
    body: &[u8],
    plan: &[u8],
    parts: &mut Vec<Part>,
) -> Result<(), MultipartError> {
    let held = Arc::new(AtomicUsize::new(0));
    // Events may also be left to wait.
    let hoard = plan.first() == Some(&b'+');
    for piece in pieces(body, plan) {
        reader.feed(Bytes::from_owner(Fed::new(piece, &held)));
        if !hoard {
            take_events(reader, parts)?;
            let held = held.load(Ordering::Relaxed);
            assert!(held <= piece.len(), "{held} bytes are held after a piece of {}", piece.len());
        }
    }
    take_events(reader, parts)
}

fn take_events(reader: &mut MultipartReader, parts: &mut Vec<Part>) -> Result<(), MultipartError> {
    while let Some(event) = reader.next_event()? {
        match (event, parts.last_mut()) {
            (MultipartEvent::Part(head), last) => {
                assert!(last.is_none_or(|part| part.whole), "a part began inside another");
                assert!(head.size <= LIMITS.part_bytes && parts.len() < LIMITS.parts, "beyond the limits");
                parts.push(Part { head, ..Part::default() });
            }
            (MultipartEvent::Data(bytes), Some(part)) => {
                assert!(!bytes.is_empty() && !part.whole);
                part.body.extend_from_slice(&bytes);
                assert!(part.body.len() as u64 <= part.head.size, "more bytes than announced");
            }
            (MultipartEvent::PartEnd, Some(part)) => {
                assert!(!std::mem::replace(&mut part.whole, true), "a part ended twice");
                assert_eq!(part.body.len() as u64, part.head.size, "a part is whole without all its bytes");
            }
            (other, None) => panic!("{other:?} before any part"),
        }
    }
    Ok(())
}

/// Cuts a body up as the plan says: each character is a size, digits their own value (0 is a piece without
/// bytes), others their code; then again from the start. Without a plan, or a plan of naughts, it is one
/// piece.
pub fn pieces<'a>(body: &'a [u8], plan: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    let size = |byte: &u8| usize::from(if byte.is_ascii_digit() { byte - b'0' } else { *byte });
    let mut sizes: Vec<usize> = plan.iter().take(32).map(size).collect();
    if sizes.iter().all(|size| *size == 0) {
        sizes.push(body.len().max(1));
    }
    let mut rest = body;
    sizes.into_iter().cycle().map_while(move |size| {
        let (piece, after) = rest.split_at_checked(size).unwrap_or((rest, &[]));
        (!std::mem::replace(&mut rest, after).is_empty()).then_some(piece)
    })
}

/// Fed bytes that are counted for as long as anybody has them.
struct Fed {
    bytes: Vec<u8>,
    held: Arc<AtomicUsize>,
}

impl Fed {
    fn new(bytes: &[u8], held: &Arc<AtomicUsize>) -> Self {
        held.fetch_add(bytes.len(), Ordering::Relaxed);
        Self { bytes: bytes.to_vec(), held: held.clone() }
    }
}

impl AsRef<[u8]> for Fed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}
