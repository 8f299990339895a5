//! The bodies of requests: of known length, and repeatable.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::task::spawn_blocking;

/// Bytes that are handed to the connection at a time: small enough that progress is seen.
const CHUNK: usize = 64 << 10;
/// Bytes that are read from a file at a time.
const FILE_CHUNK: u64 = 256 << 10;

/// Bytes that can be read again and again. Whoever pays for the memory or the file has to outlive them.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Blocks of memory, one after the other.
    Memory(Vec<Bytes>),
    /// The first `size` bytes of a file that is only appended to.
    File { file: Arc<File>, size: u64 },
}

impl Content {
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Memory(blocks) => blocks.iter().map(|block| block.len() as u64).sum(),
            Self::File { size, .. } => *size,
        }
    }

    /// The bytes, a chunk at a time.
    pub(crate) fn chunks(&self) -> BoxStream<'static, io::Result<Bytes>> {
        match self {
            Self::Memory(blocks) => chunks_of(blocks.clone()),
            Self::File { file, size } => chunks_of_file(Arc::clone(file), *size),
        }
    }
}

/// A request body: content between two pieces of framing. Sending does not use it up.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    head: Bytes,
    content: Content,
    tail: Bytes,
}

impl Payload {
    /// Content between two pieces of framing.
    pub(crate) fn framed(head: Bytes, content: Content, tail: Bytes) -> Self {
        Self { head, content, tail }
    }

    pub(crate) fn size(&self) -> u64 {
        (self.head.len() + self.tail.len()) as u64 + self.content.size()
    }

    /// The body of one attempt. `on_chunk` hears of each chunk that the connection takes, and of one that could not be
    /// read, which ends the request.
    pub(crate) fn to_body(&self, on_chunk: impl Fn(&io::Result<Bytes>) + Send + 'static) -> reqwest::Body {
        // Clones of `Bytes` share their memory, so a repeated attempt copies nothing.
        let head = chunks_of(vec![self.head.clone()]);
        let chunks = head.chain(self.content.chunks()).chain(chunks_of(vec![self.tail.clone()]));
        reqwest::Body::wrap_stream(chunks.inspect(on_chunk))
    }
}

impl From<Content> for Payload {
    fn from(content: Content) -> Self {
        Self::framed(Bytes::new(), content, Bytes::new())
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Content::Memory(vec![bytes]).into()
    }
}

fn chunks_of(blocks: Vec<Bytes>) -> BoxStream<'static, io::Result<Bytes>> {
    let chunks = blocks.into_iter().flat_map(|mut block| {
        std::iter::from_fn(move || (!block.is_empty()).then(|| Ok(block.split_to(block.len().min(CHUNK)))))
    });
    stream::iter(chunks).boxed()
}

/// Reads at offsets, so that two attempts never share a position in the file.
fn chunks_of_file(file: Arc<File>, length: u64) -> BoxStream<'static, io::Result<Bytes>> {
    let chunks = stream::try_unfold(0, move |offset| {
        let file = Arc::clone(&file);
        async move {
            let size = (length - offset).min(FILE_CHUNK);
            if size == 0 {
                return Ok(None);
            }
            // A read from a disk may block, which must not hold up the other tasks of the runtime.
            let read = spawn_blocking(move || {
                let mut chunk = BytesMut::zeroed(usize::try_from(size).unwrap_or_default());
                file.read_exact_at(&mut chunk, offset).map(|()| chunk.freeze())
            });
            Ok(Some((read.await.map_err(io::Error::other)??, offset + size)))
        }
    });
    chunks.boxed()
}
