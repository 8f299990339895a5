//! Reads the `multipart/form-data` of a download (protocol 6.2) without knowing of any network: bytes go
//! in by [`Reader::feed`], events come out of [`Reader::next_event`], however the bytes were cut.
//!
//! A body is exactly as long as its `size` says. The boundary is never searched for inside one, so
//! nothing in a body can end it. Memory is bounded by the headers' limit: of a body, only the bytes that
//! were fed last are held.

use bytes::{Buf, Bytes};

use crate::disposition::{self, Disposition, DispositionError};

/// What the reader accepts.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one part's headers.
    pub header_bytes: usize,
    /// Bytes that a part may announce.
    pub part_bytes: u64,
    /// Parts of one body.
    pub parts: usize,
}

/// What came next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A part begins; `size` bytes follow as [`Event::Data`].
    Part(Disposition),
    /// Bytes of the current part, never none.
    Data(Bytes),
    /// The current part is whole.
    PartEnd,
}

/// How a body ended that ended at the end of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With the closing boundary: there is nothing more.
    Closed,
    /// Without: whether there should have been more parts can't be told from the body.
    Open,
}

/// What is irregular about a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// The answer's `Content-Type` is not as protocol 6.2 has it.
    #[error("its Content-Type is not `multipart/form-data; boundary=...`")]
    ContentType,
    /// Where a boundary should be is something else.
    #[error("a line that should be the boundary is not")]
    WrongBoundary,
    /// More than `size` bytes, or bytes after the closing boundary.
    #[error("there are bytes after the announced end of {0}")]
    ExtraBytes(&'static str),
    /// A part without the header that has its size.
    #[error("a part has no Content-Disposition")]
    MissingDisposition,
    /// A header that can't be read.
    #[error("a part is not understood: {0}")]
    Disposition(#[from] DispositionError),
    /// A header line without `:`, not UTF-8, or there twice.
    #[error("a part has a malformed header")]
    Header,
    /// More header bytes than allowed.
    #[error("a part has more than {0} bytes of headers")]
    HeaderTooLong(usize),
    /// A part that announces too much.
    #[error("a part announces {size} bytes; {limit} are allowed")]
    PartTooLarge {
        /// What it announces.
        size: u64,
        /// What is allowed.
        limit: u64,
    },
    /// Too many parts.
    #[error("it has more than {0} parts")]
    TooManyParts(usize),
    /// It ended too early.
    #[error("it was cut short {0}")]
    Truncated(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a boundary line; `blank_lines` came already.
    Boundary { blank_lines: usize },
    /// In the headers of a part, of which `bytes` came.
    Headers { bytes: usize },
    /// In a body, of which `left` bytes are missing.
    Body { left: u64 },
    /// After the closing boundary and `bytes` of padding.
    Closed { bytes: usize },
}

/// Padding that may follow the closing boundary; more would be a way to keep a reader for ever.
const MAX_PADDING: usize = 1024;

/// The reader of one body. After an error it is of no more use.
#[derive(Debug)]
pub struct Reader {
    delimiter: Vec<u8>,
    limits: Limits,
    state: State,
    parts: usize,
    /// What was fed and not looked at.
    pending: Bytes,
    /// The line that is being collected outside of bodies.
    line: Vec<u8>,
    disposition: Option<Disposition>,
}

impl Reader {
    /// A reader for a body with this boundary (without the leading `--`).
    pub fn new(boundary: &str, limits: Limits) -> Self {
        Self {
            delimiter: format!("--{boundary}").into_bytes(),
            limits,
            state: State::Boundary { blank_lines: 0 },
            parts: 0,
            pending: Bytes::new(),
            line: Vec::new(),
            disposition: None,
        }
    }

    /// Takes the boundary from a `Content-Type`, which has to be written exactly as in protocol 6.2; only
    /// quotes round the boundary are tolerated.
    ///
    /// # Errors
    /// [`MultipartError::ContentType`] if it is anything else.
    pub fn from_content_type(content_type: Option<&str>, limits: Limits) -> Result<Self, MultipartError> {
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

    /// Gives the reader the next bytes. Take all events first: bytes that wait are put together.
    pub fn feed(&mut self, bytes: Bytes) {
        if self.pending.is_empty() {
            self.pending = bytes;
        } else {
            self.pending = [std::mem::take(&mut self.pending), bytes].concat().into();
        }
    }

    /// Whether the closing boundary has come, so that nothing that matters can follow.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// The next event, or none when more bytes are needed.
    ///
    /// # Errors
    /// When the body is irregular.
    pub fn next_event(&mut self) -> Result<Option<Event>, MultipartError> {
        loop {
            if let State::Body { left } = &mut self.state {
                if *left == 0 {
                    self.state = State::Boundary { blank_lines: 0 };
                    return Ok(Some(Event::PartEnd));
                }
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(self.pending.len());
                if here == 0 {
                    return Ok(None);
                }
                *left -= here as u64;
                return Ok(Some(Event::Data(self.pending.split_to(here))));
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

    /// Says that no more bytes come.
    ///
    /// # Errors
    /// [`MultipartError::Truncated`] if they should.
    pub fn finish(mut self) -> Result<Ending, MultipartError> {
        let line = std::mem::take(&mut self.line);
        match self.state {
            State::Closed { .. } if is_padding(Some(&line)) => Ok(Ending::Closed),
            State::Closed { .. } => Err(MultipartError::ExtraBytes("the last part")),
            State::Body { .. } => Err(MultipartError::Truncated("within a part")),
            State::Headers { .. } => Err(MultipartError::Truncated("within a part's headers")),
            State::Boundary { blank_lines } => {
                let tail = self.tail_of(&line);
                // Nothing, or the first half of a line end that may be there.
                let blank = line.is_empty() || (line == b"\r" && blank_lines < 2);
                // The closing line need not have a line end.
                if tail.is_some_and(|tail| tail.starts_with(b"--")) {
                    self.take_line(&line, line.len())?;
                    Ok(Ending::Closed)
                } else if blank && self.parts > 0 {
                    Ok(Ending::Open)
                } else if blank
                    || self.delimiter.starts_with(&line)
                    || tail.is_some_and(|tail| tail == b"-" || is_padding(Some(tail)))
                {
                    Err(MultipartError::Truncated("before or within a boundary"))
                } else {
                    Err(self.no_boundary())
                }
            }
        }
    }

    /// Moves bytes into `line` up to a line feed; says whether there is one.
    fn collect_line(&mut self) -> Result<bool, MultipartError> {
        let (limit, error) = match self.state {
            State::Headers { bytes } => (
                self.limits.header_bytes.saturating_sub(bytes),
                MultipartError::HeaderTooLong(self.limits.header_bytes),
            ),
            // Room for the closing dashes, some padding and the line end.
            State::Boundary { .. } => (self.delimiter.len() + 64, self.no_boundary()),
            State::Closed { bytes } => {
                (MAX_PADDING.saturating_sub(bytes), MultipartError::ExtraBytes("the last part"))
            }
            // Lines are collected outside of bodies only.
            State::Body { .. } => (0, MultipartError::ExtraBytes("a part")),
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

    /// Takes a whole line outside of bodies, given without its end; `length` counts that too.
    fn take_line(&mut self, line: &[u8], length: usize) -> Result<Option<Event>, MultipartError> {
        match &mut self.state {
            State::Boundary { blank_lines } if line.is_empty() && *blank_lines < 2 => *blank_lines += 1,
            State::Boundary { .. } => match self.tail_of(line) {
                Some(tail) if tail.starts_with(b"--") && is_padding(tail.get(2..)) => {
                    self.state = State::Closed { bytes: 0 }
                }
                Some(tail) if is_padding(Some(tail)) => {
                    self.parts += 1;
                    if self.parts > self.limits.parts {
                        return Err(MultipartError::TooManyParts(self.limits.parts));
                    }
                    self.state = State::Headers { bytes: 0 };
                }
                _ => return Err(self.no_boundary()),
            },
            State::Headers { .. } if line.is_empty() => {
                let part = self.disposition.take().ok_or(MultipartError::MissingDisposition)?;
                if part.size > self.limits.part_bytes {
                    return Err(MultipartError::PartTooLarge {
                        size: part.size,
                        limit: self.limits.part_bytes,
                    });
                }
                self.state = State::Body { left: part.size };
                return Ok(Some(Event::Part(part)));
            }
            State::Headers { bytes } => {
                *bytes += length;
                self.take_header(line)?;
            }
            State::Closed { bytes } if is_padding(Some(line)) => *bytes += length,
            State::Closed { .. } | State::Body { .. } => {
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

    /// What follows the delimiter in a line that begins with it.
    fn tail_of<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        line.strip_prefix(self.delimiter.as_slice())
    }

    /// Before the first part the boundary is another than announced; later a body was longer.
    fn no_boundary(&self) -> MultipartError {
        if self.parts == 0 { MultipartError::WrongBoundary } else { MultipartError::ExtraBytes("a part") }
    }
}

/// Whether there is nothing but what RFC 2046 allows after a boundary.
fn is_padding(bytes: Option<&[u8]>) -> bool {
    bytes.unwrap_or_default().iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}

#[cfg(test)]
mod tests;
