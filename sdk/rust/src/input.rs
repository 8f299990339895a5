//! Inputs: CIDs that stand for one or several parts, each a stream.

use std::io::{self, BufRead, Read};
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::host::{Host, HostInput, HostPart};

/// Bytes that one call of the node asks for.
const CHUNK: u32 = 1 << 20;

/// What the domain server says about a part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartInfo {
    /// Its id in the domain.
    pub data_id: String,
    /// Its name, as it was uploaded. Not a path: it can hold any character.
    pub name: String,
    /// Its kind: `ply`, `json`, `dmt_recording`...
    pub data_type: String,
    /// How many bytes it has.
    pub size: u64,
    /// The domain that it lies in.
    pub domain_id: String,
    /// When it was made (RFC 3339), if the server said.
    pub created_at: Option<String>,
    /// When it was last changed (RFC 3339), if the server said.
    pub updated_at: Option<String>,
}

/// An opened CID: an iterator over its parts, in the server's order. There is at least one.
#[derive(Debug)]
pub struct Input {
    cid: String,
    host: HostInput,
    is_over: bool,
}

impl Input {
    pub(crate) fn open(host: &Host, cid: &str) -> Result<Self> {
        Ok(Self { cid: cid.to_owned(), host: host.open(cid)?, is_over: false })
    }

    /// The CID, as the task names it.
    pub fn cid(&self) -> &str {
        &self.cid
    }

    /// The next part, or none after the last.
    ///
    /// # Errors
    /// Those of the node.
    pub fn next_part(&mut self) -> Result<Option<Part>> {
        Ok(self.host.next_part()?.map(Part::new))
    }
}

impl Iterator for Input {
    type Item = Result<Part>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.next_part().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

/// One blob of an input, read as a stream of which nothing is kept but the current chunk. Its errors are [`Error`]s inside
/// [`io::Error`]s, which `?` takes out again.
#[derive(Debug)]
pub struct Part {
    host: HostPart,
    info: PartInfo,
    chunk: Vec<u8>,
    /// How much of the chunk was taken.
    taken: usize,
}

impl Part {
    fn new(host: HostPart) -> Self {
        let info = host.info();
        Self { host, info, chunk: Vec::new(), taken: 0 }
    }

    /// What the domain server says about it.
    pub fn info(&self) -> &PartInfo {
        &self.info
    }

    /// Its name, as it was uploaded.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.info.size
    }

    /// The next bytes, or none at the end: as few copies as there can be.
    ///
    /// # Errors
    /// Those of the node. A part that ends before its announced size is [`Error::Corrupt`], never a shorter stream.
    pub fn next_chunk(&mut self) -> Result<Vec<u8>> {
        if self.taken < self.chunk.len() {
            let rest = self.chunk.split_off(self.taken);
            self.chunk = Vec::new();
            self.taken = 0;
            return Ok(rest);
        }
        self.host.read(CHUNK)
    }

    /// Up to `max_bytes` bytes from `offset` (at most 8 MiB), or none at or past the end. Keeps the part in the sandbox
    /// directory, and does not move the stream.
    ///
    /// # Errors
    /// Those of the node.
    pub fn read_at(&self, offset: u64, max_bytes: u32) -> Result<Vec<u8>> {
        self.host.read_at(offset, max_bytes)
    }

    /// The part as a read-only file, for libraries that want a path. It counts against the scratch budget.
    ///
    /// # Errors
    /// Those of the node.
    pub fn to_file(&self) -> Result<PathBuf> {
        self.host.materialise().map(PathBuf::from)
    }
}

impl BufRead for Part {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken >= self.chunk.len() {
            self.chunk = self.host.read(CHUNK).map_err(io::Error::from)?;
            self.taken = 0;
        }
        Ok(self.chunk.get(self.taken..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.taken = self.taken.saturating_add(amount);
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// The parts of several CIDs, one after the other, each opened when its turn comes.
pub(crate) fn parts<'a>(host: &'a Host, cids: &'a [String]) -> impl Iterator<Item = Result<Part>> + use<'a> {
    let mut waiting = cids.iter();
    let mut open: Option<Input> = None;
    std::iter::from_fn(move || {
        loop {
            if let Some(part) = open.as_mut().and_then(Iterator::next) {
                return Some(part);
            }
            match Input::open(host, waiting.next()?) {
                Ok(input) => open = Some(input),
                Err(error) => {
                    open = None;
                    return Some(Err(error));
                }
            }
        }
    })
}

/// The only part of the only input.
pub(crate) fn only_part(host: &Host, cids: &[String]) -> Result<Part> {
    let [cid] = cids else {
        return Err(Error::InvalidTask(format!("the task has {} inputs; it takes one", cids.len())));
    };
    let mut input = Input::open(host, cid)?;
    let first = input.next_part()?;
    let part = first.ok_or_else(|| Error::InvalidInput(format!("input {cid} has no part")))?;
    match input.next_part()? {
        None => Ok(part),
        Some(second) => Err(Error::InvalidInput(format!(
            "input {cid} has several parts ({}, {}, ...); it takes one",
            part.name(),
            second.name()
        ))),
    }
}
