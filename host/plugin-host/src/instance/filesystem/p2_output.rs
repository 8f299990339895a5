//! A stream of WASI 0.2 into a file.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::filesystem::File;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::instance::filesystem::meter::{self, Refusal};
use crate::instance::scratch::Scratch;

/// The most bytes that the guest may pass at once.
const CAPACITY: usize = 64 << 10;

/// A stream that has written all it was given when a call returns, so it is always ready.
pub(super) struct FileOutput {
    file: Arc<std::fs::File>,
    /// Where the next bytes go; none: to the end.
    at: Option<u64>,
    scratch: Arc<Scratch>,
    closed: bool,
}

impl FileOutput {
    pub(super) fn new(file: &File, at: Option<u64>, scratch: Arc<Scratch>) -> Self {
        Self { file: file.file.clone(), at, scratch, closed: false }
    }
}

#[async_trait]
impl Pollable for FileOutput {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for FileOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if self.closed {
            return Err(StreamError::Closed);
        }
        match meter::write(&self.scratch, &self.file, self.at, &bytes) {
            Ok(written) => {
                // Can't overflow: the bytes were written there.
                self.at = self.at.map(|at| at.saturating_add(written));
                Ok(())
            }
            Err(refusal) => {
                self.closed = true;
                Err(match refusal {
                    Refusal::Limit(limit) => StreamError::Trap(limit.into()),
                    Refusal::TooDeep => StreamError::Closed,
                    Refusal::System(error) => StreamError::LastOperationFailed(error.into()),
                })
            }
        }
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.check_write().map(drop)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if self.closed { Err(StreamError::Closed) } else { Ok(CAPACITY) }
    }
}
