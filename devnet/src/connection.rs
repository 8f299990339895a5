//! Connections that can be cut from inside a request: by a fault, or because the devnet shuts down.

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

/// The handle that a request has on the connection it arrived on.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// Cancelled when the connection is to be cut: nothing more is read or written, the socket is closed.
    cut: CancellationToken,
    written: Arc<WrittenBytes>,
}

#[derive(Debug, Default)]
struct WrittenBytes {
    count: AtomicU64,
    more: Notify,
}

impl Connection {
    /// Closes the socket, whatever is being transferred.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    /// Bytes handed to the socket so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.count.load(Ordering::Acquire)
    }

    /// Waits until this many bytes were handed to the socket.
    pub(crate) async fn written_reaches(&self, bytes: u64) {
        loop {
            // Subscribed before the count is read, so that a write in between is not missed.
            let more = self.written.more.notified();
            if self.written() >= bytes {
                return;
            }
            more.await;
        }
    }
}

impl Connected<IncomingStream<'_, ConnectionListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, ConnectionListener>) -> Self {
        stream.io().connection.clone()
    }
}

/// A TCP listener whose connections are [`Connection`]s.
#[derive(Debug)]
pub(crate) struct ConnectionListener {
    listener: TcpListener,
    stop: CancellationToken,
}

impl ConnectionListener {
    /// Cancelling `stop` cuts every connection.
    pub(crate) fn new(listener: TcpListener, stop: CancellationToken) -> Self {
        Self { listener, stop }
    }
}

impl Listener for ConnectionListener {
    type Io = ConnectionIo;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // axum's own accept, which retries when the process has too many open files.
        let (stream, addr) = Listener::accept(&mut self.listener).await;
        // Without it small answers wait for acknowledgements; a failure only costs time.
        let _ = stream.set_nodelay(true);
        let connection = Connection { cut: self.stop.child_token(), written: Arc::default() };
        let cut = Box::pin(connection.cut.clone().cancelled_owned());
        (ConnectionIo { stream, connection, cut }, addr)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// The byte stream of a [`Connection`], as the HTTP server reads and writes it.
#[derive(Debug)]
pub(crate) struct ConnectionIo {
    stream: TcpStream,
    connection: Connection,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl ConnectionIo {
    /// Fails if the connection is cut. Otherwise registers the current task to be woken when it is, so that
    /// a task waiting for the peer notices.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.connection.cut.is_cancelled() || self.cut.as_mut().poll(cx).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    fn count(&self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = poll {
            self.connection.written.count.fetch_add(bytes as u64, Ordering::AcqRel);
            self.connection.written.more.notify_waiters();
        }
        poll
    }
}

impl AsyncRead for ConnectionIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for ConnectionIo {
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
        // A cut connection is shut down too, so this one does not check.
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
