//! Serves routes to whoever connects, without letting them use up the node's descriptors: so many connections at most,
//! each with a time for its request's head. At the cap a new connection takes the place of the one that has been idle
//! longest, so that a thousand silent connections do not keep a health check out.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use posemesh_net::retry::{Backoff, Jitter};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::meters;

/// How long connections must have been taken without a failure before that is told.
const ACCEPT_CALM: Duration = Duration::from_secs(60);

/// What the clients of one server may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerLimits {
    /// Connections at the same time.
    pub(crate) connections: usize,
    /// Time for the head of a request: the first one, and each further one on the same connection.
    pub(crate) head_timeout: Duration,
    /// Time of one connection, longer than the longest answer takes: a client that reads its answer a byte at a time
    /// would otherwise keep its place for ever.
    pub(crate) connection_time: Duration,
    /// Time for requests in flight to end when the node ends.
    pub(crate) last_requests: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 64,
            head_timeout: Duration::from_secs(10),
            // A rescan answers when all new components are compiled.
            connection_time: Duration::from_secs(900),
            last_requests: Duration::from_secs(2),
        }
    }
}

/// Serves until `stop` fires; requests in flight then get a moment. `what` is the server's name in the log.
pub(crate) async fn serve(
    listener: impl Into<Listening>,
    router: Router,
    what: &'static str,
    limits: ServerLimits,
    stop: CancellationToken,
) {
    let listener = listener.into();
    let mut connections = Connections { limits, router, open: Vec::new(), tasks: JoinSet::new() };
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2), Jitter::UPPER_HALF);
    let mut trouble = AcceptTrouble::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            // Taken out as they end, so that what has ended takes no place.
            Some(_) = connections.tasks.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => {
                backoff.reset();
                if trouble.is_over(Instant::now()) {
                    tracing::info!("{what} takes connections again");
                }
                match accepted {
                    Accepted::Network(stream) => {
                        let peer = stream.peer_addr().map(Peer::Network).ok();
                        connections.open(stream, peer);
                    }
                    Accepted::Local(stream, peer) => connections.open(stream, Some(peer)),
                    // The kernel says that it is somebody else: closed, without a word.
                    Accepted::Stranger => {}
                }
            }
            // That client went away before it was accepted, which says nothing about the next.
            Err(error) if is_of_client(&error) => {}
            Err(error) => {
                if trouble.is_news(Instant::now()) {
                    tracing::warn!(
                        %error, "{what} can't take connections now and tries again; most likely this process has too few \
                        file descriptors (`ulimit -n`)"
                    );
                }
                // Gives back a descriptor, of the one who needs it least.
                connections.close_longest_idle();
                let _ = timeout(backoff.next_delay(), stop.cancelled()).await;
            }
        }
    }
    connections.end().await;
}

/// Failures to accept, as the log tells of them. A shortage lets connections through now and then: it is one trouble
/// until none has failed for a while, and no line for each time that it comes and goes.
#[derive(Debug, Default)]
struct AcceptTrouble {
    /// When it failed last, if that was told and its end was not.
    last: Option<Instant>,
}

impl AcceptTrouble {
    /// It fails; returns whether to tell.
    fn is_news(&mut self, now: Instant) -> bool {
        self.last.replace(now).is_none()
    }

    /// It works; returns whether to tell.
    fn is_over(&mut self, now: Instant) -> bool {
        self.last.take_if(|last| now.duration_since(*last) >= ACCEPT_CALM).is_some()
    }
}

/// The open connections of one server.
struct Connections {
    limits: ServerLimits,
    router: Router,
    open: Vec<Arc<Connection>>,
    tasks: JoinSet<()>,
}

/// Where connections come from.
#[derive(Debug)]
pub(crate) enum Listening {
    Network(TcpListener),
    /// Only this user and root are answered.
    Local(UnixListener),
}

impl From<TcpListener> for Listening {
    fn from(listener: TcpListener) -> Self {
        Self::Network(listener)
    }
}

impl From<UnixListener> for Listening {
    fn from(listener: UnixListener) -> Self {
        Self::Local(listener)
    }
}

enum Accepted {
    Network(tokio::net::TcpStream),
    Local(tokio::net::UnixStream, Peer),
    Stranger,
}

impl Listening {
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Network(listener) => listener.accept().await.map(|(stream, _)| Accepted::Network(stream)),
            Self::Local(listener) => {
                let (stream, _) = listener.accept().await?;
                // As the kernel noted it when the connection was made.
                let Ok(who) = stream.peer_cred() else { return Ok(Accepted::Stranger) };
                let us = rustix::process::geteuid().as_raw();
                if who.uid() != us && who.uid() != 0 {
                    return Ok(Accepted::Stranger);
                }
                Ok(Accepted::Local(stream, Peer::Local { user: who.uid(), process: who.pid() }))
            }
        }
    }
}

/// Who has sent a request: an extension of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Network(SocketAddr),
    /// By a Unix socket: the node's own user or root.
    Local {
        user: u32,
        process: Option<i32>,
    },
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(addr) => addr.fmt(f),
            Self::Local { user, process: Some(process) } => write!(f, "user {user}, process {process}"),
            Self::Local { user, process: None } => write!(f, "user {user}"),
        }
    }
}

/// What is known of one connection.
#[derive(Debug, Default)]
struct Connection {
    /// Since when it has no request; none while it has.
    idle: Mutex<Option<Instant>>,
    /// Ends it at once.
    close: CancellationToken,
    /// Ends it after its request.
    finish: CancellationToken,
}

impl Connections {
    fn open<S>(&mut self, stream: S, peer: Option<Peer>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.forget_ended();
        // With all places taken by requests, this client has to come back.
        if self.open.len() >= self.limits.connections && !self.close_longest_idle() {
            return;
        }
        let connection =
            Arc::new(Connection { idle: Mutex::new(Some(Instant::now())), ..Connection::default() });
        self.open.push(Arc::clone(&connection));
        self.tasks.spawn(attend(stream, peer, self.router.clone(), self.limits, connection));
    }

    /// Closes the connection that has had no request for longest; returns whether there was one.
    fn close_longest_idle(&mut self) -> bool {
        self.forget_ended();
        let idle =
            self.open.iter().enumerate().filter_map(|(at, connection)| Some((connection.idle_since()?, at)));
        let Some((_, at)) = idle.min() else { return false };
        self.open.swap_remove(at).close.cancel();
        true
    }

    /// A connection that has ended is known here only.
    fn forget_ended(&mut self) {
        self.open.retain(|connection| Arc::strong_count(connection) > 1);
    }

    async fn end(mut self) {
        self.open.iter().for_each(|connection| connection.finish.cancel());
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(self.limits.last_requests, ended).await.is_err() {
            tracing::debug!("requests in flight are cut off");
        }
        self.tasks.shutdown().await;
    }
}

impl Connection {
    fn idle_since(&self) -> Option<Instant> {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_idle(&self, since: Option<Instant>) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// A request and its answer: the connection is busy until the answer's last byte was taken.
struct Busy(Arc<Connection>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set_idle(Some(Instant::now()));
    }
}

async fn attend<S>(
    stream: S,
    peer: Option<Peer>,
    router: Router,
    limits: ServerLimits,
    connection: Arc<Connection>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let _counted = meters::CONNECTIONS.enter();
    let routes = TowerToHyperService::new(router);
    let busy = Arc::clone(&connection);
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        busy.set_idle(None);
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        let busy = Busy(Arc::clone(&busy));
        let answer = routes.call(request);
        async move { answer.await.map(|answer| busy_until_sent(answer, busy)) }
    });
    let mut http = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .serve_connection(TokioIo::new(stream), service)
    );
    // How a connection ends concerns its client only.
    tokio::select! {
        _ = http.as_mut() => return,
        () = connection.close.cancelled() => return,
        () = connection.finish.cancelled() => {}
        () = sleep(limits.connection_time) => return,
    }
    http.as_mut().graceful_shutdown();
    let _ = http.await;
}

fn busy_until_sent(answer: Response, busy: Busy) -> Response {
    answer.map(|body| {
        Body::new(body.map_frame(move |frame| {
            // Moved into the body, and dropped with it.
            let _ = &busy;
            frame
        }))
    })
}

fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused | Kind::Interrupted
    )
}

#[cfg(test)]
mod tests;
