//! The bodies of requests: of known length, repeatable, and watched while they are sent.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::buffer::Source;
use super::traffic::Traffic;

/// How much is handed to the connection at a time: small enough that progress is seen.
const PIECE: usize = 64 << 10;
/// How much is read from a file at a time.
const FILE_PIECE: u64 = 256 << 10;

/// A body. Sending it does not use it up, so that a request can be repeated.
#[derive(Debug, Clone)]
pub(super) enum Payload {
    /// No body at all.
    Empty,
    /// These bytes, one after the other.
    Bytes(Vec<Bytes>),
    /// The first `length` bytes of a file between two pieces of framing.
    File { head: Bytes, file: Arc<File>, length: u64, tail: Bytes },
}

pub(super) type Pieces = BoxStream<'static, io::Result<Bytes>>;

impl Payload {
    /// What a buffer holds, between two pieces of framing (which may be empty).
    pub fn of(head: Bytes, source: &Source, tail: Bytes) -> Self {
        match source {
            Source::Memory(all) => {
                Self::Bytes(std::iter::once(head).chain(all.iter().cloned()).chain([tail]).collect())
            }
            Source::File { file, size } => Self::File { head, file: Arc::clone(file), length: *size, tail },
        }
    }

    /// Its bytes in all.
    pub fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(all) => all.iter().map(|bytes| bytes.len() as u64).sum(),
            Self::File { head, length, tail, .. } => head.len() as u64 + length + tail.len() as u64,
        }
    }

    /// Its bytes, a few at a time.
    pub fn pieces(&self) -> Pieces {
        match self {
            Self::Empty => stream::empty().boxed(),
            Self::Bytes(all) => cut(all.clone()),
            Self::File { head, file, length, tail } => cut(vec![head.clone()])
                .chain(read(Arc::clone(file), *length))
                .chain(cut(vec![tail.clone()]))
                .boxed(),
        }
    }

    /// The body for one try, which counts what goes out in `pulse` and `traffic`.
    pub fn to_body(&self, pulse: Arc<Pulse>, traffic: Arc<Traffic>) -> reqwest::Body {
        let watched = self.pieces().inspect(move |piece| {
            if let Ok(bytes) = piece {
                pulse.sent(bytes.len());
                traffic.sent(bytes.len());
            }
        });
        reqwest::Body::wrap_stream(watched)
    }
}

fn cut(all: Vec<Bytes>) -> Pieces {
    let pieces = all.into_iter().flat_map(|mut bytes| {
        std::iter::from_fn(move || (!bytes.is_empty()).then(|| Ok(bytes.split_to(bytes.len().min(PIECE)))))
    });
    stream::iter(pieces).boxed()
}

/// Reads at offsets, so that two tries never share a position in the file.
fn read(file: Arc<File>, length: u64) -> Pieces {
    let read = stream::try_unfold(0, move |at| {
        let file = Arc::clone(&file);
        async move {
            let size = (length - at).min(FILE_PIECE);
            if size == 0 {
                return Ok(None);
            }
            let piece = spawn_blocking(move || {
                let mut piece = BytesMut::zeroed(usize::try_from(size).unwrap_or_default());
                file.read_exact_at(&mut piece, at).map(|()| piece.freeze())
            });
            Ok(Some((piece.await.map_err(io::Error::other)??, at + size)))
        }
    });
    read.boxed()
}

/// The progress of one request on its way out.
#[derive(Debug)]
pub(super) struct Pulse {
    started: Instant,
    /// Milliseconds from `started` to the last progress.
    last: AtomicU64,
    /// Bytes of the body that the connection has not taken yet.
    left: AtomicU64,
}

impl Pulse {
    pub fn new(length: u64) -> Self {
        Self { started: Instant::now(), last: AtomicU64::new(0), left: AtomicU64::new(length) }
    }

    fn sent(&self, bytes: usize) {
        // One stream at a time feeds a pulse, so nothing is lost between load and store.
        let left = self.left.load(Ordering::Acquire).saturating_sub(bytes as u64);
        self.last.store(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(0), Ordering::Release);
        self.left.store(left, Ordering::Release);
    }

    /// Waits until the request has made no progress for too long; says in which phase, and for how
    /// long. Sending may rest for `idle`, the answer may take `first_byte` after the last byte.
    pub async fn stalled(&self, idle: Duration, first_byte: Duration) -> (&'static str, Duration) {
        loop {
            let (phase, patience) = if self.left.load(Ordering::Acquire) == 0 {
                ("waiting for the answer", first_byte)
            } else {
                ("sending the request", idle)
            };
            let last = self.started + Duration::from_millis(self.last.load(Ordering::Acquire));
            let deadline = last + patience;
            if Instant::now() >= deadline {
                return (phase, patience);
            }
            tokio::time::sleep_until(deadline).await;
        }
    }
}
