//! Bytes in, with a count of where we are.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use crate::failure::Failure;

/// A line longer than this is no line of a PLY file.
const LONGEST_LINE: usize = 64 * 1024;
/// What gzip unpacks into at a time.
const BUFFER: usize = 256 * 1024;

/// A PLY file, unpacked, read from front to end.
pub(super) struct Source<'a> {
    /// The bytes.
    inner: Box<dyn BufRead + 'a>,
    /// Whether they come out of gzip.
    packed: bool,
    /// How many bytes were read.
    pub offset: u64,
    /// How many lines were read.
    pub line: u64,
}

impl<'a> Source<'a> {
    /// Begins at the first byte; unpacks if that is gzip's.
    pub(super) fn open(mut raw: impl BufRead + 'a) -> Result<Self, Failure> {
        let mut magic = Vec::with_capacity(2);
        raw.by_ref().take(2).read_to_end(&mut magic)?;
        let packed = magic == [0x1f, 0x8b];
        let whole = Cursor::new(magic).chain(raw);
        let inner: Box<dyn BufRead + 'a> = if packed {
            Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(whole)))
        } else {
            Box::new(whole)
        };
        Ok(Self { inner, packed, offset: 0, line: 0 })
    }

    /// The next line without its break, or false at the end.
    pub(super) fn line(&mut self, line: &mut Vec<u8>) -> Result<bool, Failure> {
        line.clear();
        let read = self.inner.by_ref().take(LONGEST_LINE as u64).read_until(b'\n', line);
        let read = read.map_err(|error| self.failed(error))?;
        self.offset += read as u64;
        self.line += u64::from(read > 0);
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if read == LONGEST_LINE {
            return Err(Failure::at_line(self.line, format!("the line is longer than {LONGEST_LINE} bytes")));
        }
        Ok(read > 0)
    }

    /// Fills `buffer`. If the file ends before: false, with `offset` at its end.
    pub(super) fn fill(&mut self, mut buffer: &mut [u8]) -> Result<bool, Failure> {
        while !buffer.is_empty() {
            let read = match self.inner.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failed(error)),
            };
            self.offset += read as u64;
            buffer = buffer.get_mut(read..).unwrap_or_default();
        }
        Ok(true)
    }

    /// Skips `count` bytes; false if the file ends before.
    pub(super) fn skip(&mut self, mut count: u64) -> Result<bool, Failure> {
        while count > 0 {
            let available = match self.inner.fill_buf() {
                Ok(bytes) => bytes.len(),
                Err(error) => return Err(self.failed(error)),
            };
            if available == 0 {
                return Ok(false);
            }
            let step = usize::try_from(count).unwrap_or(usize::MAX).min(available);
            self.inner.consume(step);
            self.offset += step as u64;
            count -= step as u64;
        }
        Ok(true)
    }

    /// Broken gzip is the scan's fault, anything else the port's.
    fn failed(&self, error: io::Error) -> Failure {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match error.kind() {
            UnexpectedEof if self.packed => Failure::at_byte(
                self.offset,
                "the gzip stream ends too early (the byte is counted in the unpacked file)",
            ),
            InvalidData | InvalidInput if self.packed => Failure::at_byte(
                self.offset,
                format!("the gzip stream is broken (the byte is counted in the unpacked file): {error}"),
            ),
            _ => Failure::Io(error),
        }
    }
}
