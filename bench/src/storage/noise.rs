//! The bytes that are copied: no compression or sparse file makes them less, and every run has the same.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// So many pseudo-random bytes, made as they are read.
pub struct Noise {
    from: fastrand::Rng,
    left: u64,
}

impl Noise {
    /// The same bytes whenever the number is the same.
    pub fn new(bytes: u64) -> Self {
        Self { from: fastrand::Rng::with_seed(bytes), left: bytes }
    }
}

impl AsyncRead for Noise {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wanted = buf.remaining().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.from.fill(buf.initialize_unfilled_to(wanted));
        buf.advance(wanted);
        self.left -= wanted as u64;
        Poll::Ready(Ok(()))
    }
}
