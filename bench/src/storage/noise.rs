//! The bytes that are copied: neither compression nor sparse files shorten them, and they are the same in every
//! run.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// A stream of pseudo-random bytes, generated as it is read.
pub(crate) struct Noise {
    from: fastrand::Rng,
    left: u64,
}

impl Noise {
    /// A stream of this length; the same bytes for the same length.
    pub(crate) fn new(bytes: u64) -> Self {
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
