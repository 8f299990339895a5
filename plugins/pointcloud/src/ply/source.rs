//! Bytes in, with a count of where we are.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use super::gzip::{self, Members};
use crate::failure::Failure;
use crate::progress::Progress;

/// A word longer than this is no number.
const LONGEST_WORD: usize = 1024;
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
    /// The line, counted from 1, that the next byte belongs to.
    pub line: u64,
    /// The line of the last word, or of the last line of the header.
    pub last_line: u64,
    /// Whether the last byte was a carriage return, to which a line feed may belong.
    after_return: bool,
    /// Whether the header has line breaks, and each is a lone carriage return.
    only_returns: Option<bool>,
}

impl<'a> Source<'a> {
    /// Begins at the first byte; unpacks if that is gzip's.
    pub(super) fn open(mut raw: impl BufRead + 'a) -> Result<Self, Failure> {
        let magic = gzip::begin(&mut raw)?;
        let packed = magic == gzip::MAGIC;
        let whole = Cursor::new(magic).chain(raw);
        let inner: Box<dyn BufRead + 'a> = if packed {
            Box::new(BufReader::with_capacity(BUFFER, Members::new(whole)))
        } else {
            Box::new(whole)
        };
        Ok(Self { inner, packed, offset: 0, line: 1, last_line: 0, after_return: false, only_returns: None })
    }

    /// The next line of the header without its break, or false at the end. It ends with a line feed, a
    /// carriage return or both; which of them decides where binary data begins: a line feed behind a
    /// carriage return is part of the break, unless all earlier breaks are lone carriage returns.
    pub(super) fn header_line(&mut self, line: &mut Vec<u8>, largest: usize) -> Result<bool, Failure> {
        line.clear();
        self.last_line = self.line;
        loop {
            let Some(byte) = self.peek()? else { return Ok(!line.is_empty()) };
            self.consume(1);
            match byte {
                b'\n' => {
                    self.only_returns = Some(false);
                    self.line += 1;
                    return Ok(true);
                }
                b'\r' => {
                    let follows = self.peek()? == Some(b'\n') && self.only_returns != Some(true);
                    if follows {
                        self.consume(1);
                    }
                    self.only_returns = Some(!follows && self.only_returns.unwrap_or(true));
                    self.line += 1;
                    return Ok(true);
                }
                _ => line.push(byte),
            }
            if self.offset > largest as u64 {
                let what = format!("the header does not end; allowed are {largest} bytes");
                return Err(Failure::at_line(self.line, what));
            }
        }
    }

    /// The next word of an ascii file. Also says whether a line ended before it; none at the end.
    pub(super) fn word(&mut self, word: &mut Vec<u8>) -> Result<Option<bool>, Failure> {
        word.clear();
        loop {
            let bytes = match self.inner.fill_buf() {
                Ok([]) => break,
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failed(error)),
            };
            let mut taken = 0;
            let mut ended = false;
            for byte in bytes {
                if !is_space(*byte) {
                    word.push(*byte);
                    self.after_return = false;
                } else if word.is_empty() {
                    let second = *byte == b'\n' && self.after_return;
                    self.after_return = *byte == b'\r';
                    self.line += u64::from(matches!(byte, b'\n' | b'\r') && !second);
                } else {
                    ended = true;
                    break;
                }
                taken += 1;
            }
            self.consume(taken);
            if word.len() > LONGEST_WORD {
                let what = format!("expected a number, found a word of more than {LONGEST_WORD} bytes");
                return Err(Failure::at_line(self.line, what));
            }
            if ended {
                break;
            }
        }
        if word.is_empty() {
            return Ok(None);
        }
        let fresh = self.line > self.last_line;
        self.last_line = self.line;
        Ok(Some(fresh))
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
            let Some(available) = self.available()? else { return Ok(false) };
            let step = usize::try_from(count).unwrap_or(usize::MAX).min(available);
            self.consume(step);
            count -= step as u64;
        }
        Ok(true)
    }

    /// Leaves alone what comes behind the last entry, as every reader does. Of a packed file it is read all
    /// the same: only the end of the stream has the checksum.
    pub(super) fn finish(mut self, progress: &mut Progress<'_>) -> Result<(), Failure> {
        let end = self.offset;
        if self.available()?.is_some() {
            progress.note(&format!("what comes behind byte {end} of the scan, its last entry, is ignored"));
        }
        while self.packed
            && let Some(available) = self.available()?
        {
            self.consume(available);
            progress.look(1, 1)?;
        }
        Ok(())
    }

    /// How many bytes are there to be taken at once; none at the end of the file.
    fn available(&mut self) -> Result<Option<usize>, Failure> {
        loop {
            match self.inner.fill_buf() {
                Ok([]) => return Ok(None),
                Ok(bytes) => return Ok(Some(bytes.len())),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// The next byte, which stays there.
    fn peek(&mut self) -> Result<Option<u8>, Failure> {
        if self.available()?.is_none() {
            return Ok(None);
        }
        match self.inner.fill_buf() {
            Ok(bytes) => Ok(bytes.first().copied()),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
        self.offset += count as u64;
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

/// What stands between words: white space, and the zeros with which a file was filled up.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, 0 | 0x0b)
}
