//! What can be irregular about a download.

use crate::disposition::DispositionError;

/// What is irregular about a body. Texts continue a sentence about the download: "it was cut short ...".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// The answer's `Content-Type` is not the one that protocol 6.2 requires.
    #[error("its Content-Type is not `multipart/form-data; boundary=...`")]
    ContentType,
    /// The first line is not the announced boundary.
    #[error("a line that should be the boundary is not")]
    WrongBoundary,
    /// More than `size` bytes, or bytes after the closing boundary.
    #[error("there are bytes after the announced end of {0}")]
    ExtraBytes(&'static str),
    /// A part has no `Content-Disposition`, so its size is unknown.
    #[error("a part has no Content-Disposition")]
    MissingDisposition,
    /// A part's `Content-Disposition` can't be read.
    #[error("a part is not understood: {0}")]
    Disposition(#[from] DispositionError),
    /// A header line has no `:`, is not UTF-8, or is a second `Content-Disposition`.
    #[error("a part has a malformed header")]
    Header,
    /// A part has more than [`header_bytes`](super::MultipartLimits::header_bytes) of headers.
    #[error("a part has more than {0} bytes of headers")]
    HeaderTooLong(usize),
    /// A part announces more than [`part_bytes`](super::MultipartLimits::part_bytes).
    #[error("a part announces {size} bytes; {limit} are allowed")]
    PartTooLarge {
        /// Bytes that the part announces.
        size: u64,
        /// Bytes that are allowed.
        limit: u64,
    },
    /// More than [`parts`](super::MultipartLimits::parts).
    #[error("it has more than {0} parts")]
    TooManyParts(usize),
    /// The body ended too early; another request may bring the rest.
    #[error("it was cut short {0}")]
    Truncated(&'static str),
}
