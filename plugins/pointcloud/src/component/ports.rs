//! The node's ports as what Rust code expects: readers, writers and I/O errors.

use std::io::{self, BufRead, Read, Write};

use super::bindings::posemesh::runner::control;
use super::bindings::posemesh::runner::inputs::Part;
use super::bindings::posemesh::runner::outputs::{self, ArtifactOptions};
use super::bindings::posemesh::runner::types::PortError;
use crate::pipeline::{Artifact, Outputs};
use crate::progress::Control;

/// Bytes asked for in one call.
const CHUNK: u32 = 1 << 20;

/// An input's bytes, as a stream: nothing of it is kept but the current chunk.
pub(super) struct Scan {
    part: Part,
    chunk: Vec<u8>,
    /// How much of the chunk was taken.
    taken: usize,
}

impl Scan {
    /// Begins at the first byte.
    pub(super) fn new(part: Part) -> Self {
        Self { part, chunk: Vec::new(), taken: 0 }
    }
}

impl BufRead for Scan {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken >= self.chunk.len() {
            self.chunk = self.part.read(CHUNK).map_err(io_error)?;
            self.taken = 0;
        }
        Ok(self.chunk.get(self.taken..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.taken += amount;
    }
}

impl Read for Scan {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// The node: it takes reports and artifacts.
pub(super) struct Node;

impl Control for Node {
    fn progress(&mut self, fraction: f64, stage: &str) {
        let report = serde_json::json!({ "progress": fraction, "stage": stage });
        // A report that is not taken is no reason to fail.
        let _ = control::progress(&report.to_string());
    }

    fn cancelled(&mut self) -> bool {
        control::is_cancelled()
    }

    fn note(&mut self, text: &str) {
        control::log(control::LogLevel::Warn, text);
    }
}

impl Outputs for Node {
    fn create(&mut self, path: &str, size: u64) -> io::Result<Box<dyn Artifact>> {
        let options =
            ArtifactOptions { name: None, data_type: None, existing_id: None, size_hint: Some(size) };
        Ok(Box::new(Stored(outputs::create(path, &options).map_err(io_error)?)))
    }
}

/// An artifact on its way to the domain.
struct Stored(outputs::Artifact);

impl Write for Stored {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = bytes.get(..CHUNK as usize).unwrap_or(bytes);
        self.0.write(chunk).map_err(io_error)?;
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Artifact for Stored {
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.0.finish().map(drop).map_err(io_error)
    }
}

/// Wraps a port's error; [`port_error`] takes it out again.
fn io_error(error: PortError) -> io::Error {
    io::Error::other(error)
}

/// The port's error inside an I/O error, if that is what it is.
pub(super) fn port_error(error: &io::Error) -> Option<PortError> {
    error.get_ref()?.downcast_ref::<PortError>().cloned()
}
