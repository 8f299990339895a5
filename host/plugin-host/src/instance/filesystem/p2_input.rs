//! A stream of WASI 0.2 from a file.
//!
//! wasmtime's own reads ahead on a thread of the runtime, with a buffer a stream. This one reads when it is asked, on the
//! guest's own thread, and holds nothing.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::filesystem::File;
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

/// The most bytes of one read.
const CAPACITY: usize = 64 << 10;

/// A stream that can always be read: from a file nothing has to be waited for.
pub(super) struct FileInput {
    file: Arc<std::fs::File>,
    /// Where the next bytes come from.
    at: u64,
    closed: bool,
}

impl FileInput {
    pub(super) fn new(file: &File, at: u64) -> Self {
        Self { file: file.file.clone(), at, closed: false }
    }
}

#[async_trait]
impl Pollable for FileInput {
    async fn ready(&mut self) {}
}

#[async_trait]
impl InputStream for FileInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.closed {
            return Err(StreamError::Closed);
        }
        let mut bytes = BytesMut::zeroed(size.min(CAPACITY));
        if bytes.is_empty() {
            return Ok(Bytes::new());
        }
        loop {
            match self.file.read_at(&mut bytes, self.at) {
                Ok(0) => {
                    self.closed = true;
                    return Err(StreamError::Closed);
                }
                Ok(read) => {
                    bytes.truncate(read);
                    self.at = self.at.saturating_add(read as u64);
                    return Ok(bytes.freeze());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.closed = true;
                    return Err(StreamError::LastOperationFailed(error.into()));
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_come_in_their_order_and_the_end_is_told_once_and_for_all() {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"0123456789").unwrap();
        let mut input = FileInput { file: Arc::new(file), at: 2, closed: false };
        assert_eq!(input.read(0).unwrap(), Bytes::new());
        assert_eq!(input.read(3).unwrap(), "234");
        assert_eq!(input.blocking_read(usize::MAX).await.unwrap(), "56789");
        for _ in 0..2 {
            assert!(matches!(input.read(1), Err(StreamError::Closed)));
        }
    }
}
