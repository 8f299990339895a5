//! Connections that can be cut from inside a request: by a fault, or because the devnet ends.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What a request knows of the connection it came on.
#[derive(Debug, Clone)]
pub(crate) struct Conn {
    /// Cancelled: nothing more is read or written, and the socket is closed.
    cut: CancellationToken,
    written: Arc<Written>,
}

#[derive(Debug, Default)]
struct Written {
    bytes: AtomicU64,
    more: Notify,
}

impl Conn {
    /// Closes the socket, whatever is under way on it.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    /// Bytes handed to the socket so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.bytes.load(Ordering::Acquire)
    }

    /// Waits until so many bytes were handed to the socket.
    pub(crate) async fn written_reaches(&self, bytes: u64) {
        loop {
            let more = self.written.more.notified();
            if self.written() >= bytes {
                return;
            }
            more.await;
        }
    }
}

impl Connected<IncomingStream<'_, ConnListener>> for Conn {
    fn connect_info(stream: IncomingStream<'_, ConnListener>) -> Self {
        stream.io().conn.clone()
    }
}

/// A TCP listener whose connections are [`Conn`]s.
#[derive(Debug)]
pub(crate) struct ConnListener {
    listener: TcpListener,
    stop: CancellationToken,
}

impl ConnListener {
    /// Cancelling `stop` cuts every connection.
    pub(crate) fn new(listener: TcpListener, stop: CancellationToken) -> Self {
        Self { listener, stop }
    }
}

impl Listener for ConnListener {
    type Io = ConnIo;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, addr) = Listener::accept(&mut self.listener).await;
        // Without it small answers wait for acknowledgements; a failure only costs time.
        let _ = stream.set_nodelay(true);
        let conn = Conn { cut: self.stop.child_token(), written: Arc::default() };
        let cut = Box::pin(conn.cut.clone().cancelled_owned());
        (ConnIo { stream, conn, cut }, addr)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

#[derive(Debug)]
pub(crate) struct ConnIo {
    stream: TcpStream,
    conn: Conn,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl ConnIo {
    /// Fails once the connection is cut; until then has the task woken when it is.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.conn.cut.is_cancelled() || self.cut.as_mut().poll(cx).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl AsyncRead for ConnIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl ConnIo {
    fn count(&self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = poll {
            self.conn.written.bytes.fetch_add(bytes as u64, Ordering::AcqRel);
            self.conn.written.more.notify_waiters();
        }
        poll
    }
}

impl AsyncWrite for ConnIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.count(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.count(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
