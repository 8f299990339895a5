//! Artifacts: what a task produces.

use std::io::{self, Write};
use std::mem;

use crate::error::{Error, Result};
use crate::host::HostArtifact;

/// Bytes that are collected before they are handed to the node.
const CHUNK: usize = 1 << 20;

/// What may be said about an artifact beyond its path.
///
/// ```
/// use posemesh_runner::ArtifactOptions;
///
/// let options = ArtifactOptions::new().data_type("dmt_pose").size_hint(1200);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArtifactOptions {
    /// The name in the domain, 1 to 128 bytes; without it the node makes one of the prefix, the path and the task's id.
    pub name: Option<String>,
    /// The kind; without it, it follows from the path's extension.
    pub data_type: Option<String>,
    /// The data id to replace.
    pub existing_id: Option<String>,
    /// How many bytes will be written, if it is known: small artifacts then cost one request.
    pub size_hint: Option<u64>,
}

impl ArtifactOptions {
    /// Every default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The name in the domain.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// The kind.
    #[must_use]
    pub fn data_type(self, data_type: impl Into<String>) -> Self {
        Self { data_type: Some(data_type.into()), ..self }
    }

    /// The data id to replace.
    #[must_use]
    pub fn existing_id(self, id: impl Into<String>) -> Self {
        Self { existing_id: Some(id.into()), ..self }
    }

    /// How many bytes will be written; not a promise.
    #[must_use]
    pub fn size_hint(self, bytes: u64) -> Self {
        Self { size_hint: Some(bytes), ..self }
    }
}

/// What was stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The prefix and the path.
    pub logical_path: String,
    /// The name in the domain.
    pub name: String,
    /// The kind.
    pub data_type: String,
    /// The id in the domain, if the server gave one.
    pub id: Option<String>,
    /// How many bytes it has.
    pub size: u64,
}

/// An artifact that is being written. It is stored by [`Artifact::finish`]; dropped before, it is not.
///
/// Small writes are collected into chunks.
#[must_use = "an artifact is stored only by `finish`"]
#[derive(Debug)]
pub struct Artifact {
    host: HostArtifact,
    chunk: Vec<u8>,
}

impl Artifact {
    pub(crate) fn new(host: HostArtifact) -> Self {
        Self { host, chunk: Vec::new() }
    }

    /// Stores it.
    ///
    /// # Errors
    /// Those of the node, also for what was written before.
    pub fn finish(mut self) -> Result<Stored> {
        self.send()?;
        self.host.finish()
    }

    /// Hands over what was collected.
    fn send(&mut self) -> Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = mem::take(&mut self.chunk);
        let sent = self.host.write(&chunk);
        // The room is used again.
        self.chunk = chunk;
        self.chunk.clear();
        sent
    }
}

impl Write for Artifact {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.is_empty() && bytes.len() >= CHUNK {
            let (chunk, _) = bytes.split_at(CHUNK);
            self.host.write(chunk).map_err(io::Error::from)?;
            return Ok(chunk.len());
        }
        let room = CHUNK.saturating_sub(self.chunk.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.chunk.extend_from_slice(taken);
        if self.chunk.len() >= CHUNK {
            self.send().map_err(io::Error::from)?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send().map_err(io::Error::from)
    }
}

/// Stores bytes that are at hand as one artifact.
pub(crate) fn store(mut artifact: Artifact, bytes: &[u8]) -> Result<Stored> {
    artifact.write_all(bytes).map_err(Error::from)?;
    artifact.finish()
}
