//! What a reader accepts, and what it reports.

use bytes::Bytes;

use crate::disposition::Disposition;

/// Limits on what a server may send; a body beyond them is an error.
#[derive(Debug, Clone, Copy)]
pub struct MultipartLimits {
    /// Bytes of the headers of one part, line ends included.
    pub header_bytes: usize,
    /// Bytes that one part may announce as its `size`.
    pub part_bytes: u64,
    /// Number of parts in one body.
    pub parts: usize,
}

/// The next thing in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultipartEvent {
    /// A part begins; `size` bytes follow as [`MultipartEvent::Data`].
    Part(Disposition),
    /// Bytes of the current part; never empty.
    Data(Bytes),
    /// All bytes of the current part have come.
    PartEnd,
}

/// How a body ended whose last part is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEnd {
    /// With the closing boundary: no part is missing.
    Closed,
    /// Without the closing boundary. The body alone does not show whether parts are missing; the caller knows
    /// if all parts that it asked for have come.
    Open,
}
