//! The state machine that reads a body.

use bytes::{Buf, Bytes};

use crate::disposition::{self, Disposition};
use crate::multipart::error::MultipartError;
use crate::multipart::event::{BodyEnd, MultipartEvent, MultipartLimits};

/// Where in the body the next byte lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReaderState {
    /// Before a boundary line, after `blank_lines` empty lines.
    Boundary { blank_lines: usize },
    /// In the headers of a part, after `bytes` of them.
    Headers { bytes: usize },
    /// In the bytes of a part, `left` bytes before its end.
    Body { left: u64 },
    /// After the closing boundary and `bytes` of padding.
    Closed { bytes: usize },
}

/// Bytes of padding that may follow the closing boundary; without a limit a server could keep the reader busy
/// for ever.
const MAX_PADDING: usize = 1024;

/// Reads one body. After an error the reader must not be used any more.
#[derive(Debug)]
pub struct MultipartReader {
    delimiter: Vec<u8>,
    limits: MultipartLimits,
    state: ReaderState,
    parts: usize,
    /// Bytes that were fed and not read yet.
    pending: Bytes,
    /// The header or boundary line that is being collected.
    line: Vec<u8>,
    /// The `Content-Disposition` of the part whose headers are being read.
    disposition: Option<Disposition>,
}

impl MultipartReader {
    /// Makes a reader for a body with this boundary (without the leading `--`).
    pub fn new(boundary: &str, limits: MultipartLimits) -> Self {
        Self {
            delimiter: format!("--{boundary}").into_bytes(),
            limits,
            state: ReaderState::Boundary { blank_lines: 0 },
            parts: 0,
            pending: Bytes::new(),
            line: Vec::new(),
            disposition: None,
        }
    }

    /// Makes a reader for the boundary in a `Content-Type`, which has to be written exactly as in protocol 6.2;
    /// only quotes around the boundary are tolerated.
    ///
    /// # Errors
    /// [`MultipartError::ContentType`] if the header is missing or anything else.
    pub fn from_content_type(
        content_type: Option<&str>,
        limits: MultipartLimits,
    ) -> Result<Self, MultipartError> {
        let boundary = content_type.and_then(|text| text.strip_prefix("multipart/form-data; boundary="));
        let boundary = boundary.ok_or(MultipartError::ContentType)?;
        let bare = boundary.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(boundary);
        let sane = (1..=200).contains(&bare.len()) && bare.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if sane && !bare.contains('"') {
            Ok(Self::new(bare, limits))
        } else {
            Err(MultipartError::ContentType)
        }
    }

    /// Gives the reader the next bytes of the body. Take all events first: bytes that are still waiting are
    /// copied together with the new ones.
    pub fn feed(&mut self, bytes: Bytes) {
        if self.pending.is_empty() {
            self.pending = bytes;
        } else {
            self.pending = [std::mem::take(&mut self.pending), bytes].concat().into();
        }
    }

    /// Whether the closing boundary has come, so that no further part can follow.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, ReaderState::Closed { .. })
    }

    /// Returns the next event, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the body is irregular; see [`MultipartError`].
    pub fn next_event(&mut self) -> Result<Option<MultipartEvent>, MultipartError> {
        loop {
            if let ReaderState::Body { left } = &mut self.state {
                if *left == 0 {
                    self.state = ReaderState::Boundary { blank_lines: 0 };
                    return Ok(Some(MultipartEvent::PartEnd));
                }
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(self.pending.len());
                if here == 0 {
                    return Ok(None);
                }
                *left -= here as u64;
                return Ok(Some(MultipartEvent::Data(self.pending.split_to(here))));
            }
            if !self.collect_line()? {
                return Ok(None);
            }
            let mut line = std::mem::take(&mut self.line);
            let length = line.len();
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if let Some(event) = self.take_line(&line, length)? {
                return Ok(Some(event));
            }
        }
    }

    /// Ends the body: no more bytes come.
    ///
    /// # Errors
    /// [`MultipartError::Truncated`] when the body ends within a part or a boundary.
    pub fn finish(mut self) -> Result<BodyEnd, MultipartError> {
        let line = std::mem::take(&mut self.line);
        match self.state {
            ReaderState::Closed { .. } if is_padding(Some(&line)) => Ok(BodyEnd::Closed),
            ReaderState::Closed { .. } => Err(MultipartError::ExtraBytes("the last part")),
            ReaderState::Body { .. } => Err(MultipartError::Truncated("within a part")),
            ReaderState::Headers { .. } => Err(MultipartError::Truncated("within a part's headers")),
            ReaderState::Boundary { blank_lines } => {
                let tail = self.tail_of(&line);
                // Nothing, or the first half of a line end.
                let blank = line.is_empty() || (line == b"\r" && blank_lines < 2);
                // The closing line need not have a line end.
                if tail.is_some_and(|tail| tail.starts_with(b"--")) {
                    self.take_line(&line, line.len())?;
                    Ok(BodyEnd::Closed)
                } else if blank && self.parts > 0 {
                    Ok(BodyEnd::Open)
                } else if blank
                    || self.delimiter.starts_with(&line)
                    || tail.is_some_and(|tail| tail == b"-" || is_padding(Some(tail)))
                {
                    Err(MultipartError::Truncated("before or within a boundary"))
                } else {
                    Err(self.missing_boundary())
                }
            }
        }
    }

    /// Moves bytes into `line` up to a line feed; returns whether the line is complete.
    fn collect_line(&mut self) -> Result<bool, MultipartError> {
        let (limit, error) = match self.state {
            ReaderState::Headers { bytes } => (
                self.limits.header_bytes.saturating_sub(bytes),
                MultipartError::HeaderTooLong(self.limits.header_bytes),
            ),
            // Room for the closing dashes, some padding and the line end.
            ReaderState::Boundary { .. } => (self.delimiter.len() + 64, self.missing_boundary()),
            ReaderState::Closed { bytes } => {
                (MAX_PADDING.saturating_sub(bytes), MultipartError::ExtraBytes("the last part"))
            }
            // Lines are collected outside of bodies only.
            ReaderState::Body { .. } => (0, MultipartError::ExtraBytes("a part")),
        };
        let end = self.pending.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let take = end.unwrap_or(self.pending.len());
        if self.line.len() + take > limit {
            return Err(error);
        }
        self.line.extend_from_slice(self.pending.get(..take).unwrap_or_default());
        self.pending.advance(take);
        Ok(end.is_some())
    }

    /// Processes a header or boundary line without its line end; `length` includes the line end.
    fn take_line(&mut self, line: &[u8], length: usize) -> Result<Option<MultipartEvent>, MultipartError> {
        match &mut self.state {
            ReaderState::Boundary { blank_lines } if line.is_empty() && *blank_lines < 2 => *blank_lines += 1,
            ReaderState::Boundary { .. } => match self.tail_of(line) {
                Some(tail) if tail.starts_with(b"--") && is_padding(tail.get(2..)) => {
                    self.state = ReaderState::Closed { bytes: 0 }
                }
                Some(tail) if is_padding(Some(tail)) => {
                    self.parts += 1;
                    if self.parts > self.limits.parts {
                        return Err(MultipartError::TooManyParts(self.limits.parts));
                    }
                    self.state = ReaderState::Headers { bytes: 0 };
                }
                _ => return Err(self.missing_boundary()),
            },
            ReaderState::Headers { .. } if line.is_empty() => {
                let part = self.disposition.take().ok_or(MultipartError::MissingDisposition)?;
                if part.size > self.limits.part_bytes {
                    return Err(MultipartError::PartTooLarge {
                        size: part.size,
                        limit: self.limits.part_bytes,
                    });
                }
                self.state = ReaderState::Body { left: part.size };
                return Ok(Some(MultipartEvent::Part(part)));
            }
            ReaderState::Headers { bytes } => {
                *bytes += length;
                self.take_header(line)?;
            }
            ReaderState::Closed { bytes } if is_padding(Some(line)) => *bytes += length,
            ReaderState::Closed { .. } | ReaderState::Body { .. } => {
                return Err(MultipartError::ExtraBytes("the last part"));
            }
        }
        Ok(None)
    }

    fn take_header(&mut self, line: &[u8]) -> Result<(), MultipartError> {
        let line = std::str::from_utf8(line).map_err(|_| MultipartError::Header)?;
        let (name, value) = line.split_once(':').ok_or(MultipartError::Header)?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(MultipartError::Header);
        }
        if name.eq_ignore_ascii_case("content-disposition") {
            let read = disposition::parse(value)?;
            if self.disposition.replace(read).is_some() {
                return Err(MultipartError::Header);
            }
        }
        Ok(())
    }

    /// The rest of a line that begins with the delimiter.
    fn tail_of<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        line.strip_prefix(self.delimiter.as_slice())
    }

    /// A line that should be a boundary and is not: before the first part the boundary is not the announced one,
    /// later the part before it has more bytes than its size says.
    fn missing_boundary(&self) -> MultipartError {
        if self.parts == 0 { MultipartError::WrongBoundary } else { MultipartError::ExtraBytes("a part") }
    }
}

/// Whether these bytes are what RFC 2046 allows after a boundary.
fn is_padding(bytes: Option<&[u8]>) -> bool {
    bytes.unwrap_or_default().iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}

#[cfg(test)]
mod tests;
