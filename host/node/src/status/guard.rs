//! What holds for every request: bounded in number and time, and of a caller who may ask.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Semaphore;

use super::access::Judge;
use super::answer::error;
use super::sources::StatusSources;
use crate::http_server::Peer;

/// How many requests are answered at the same time.
const AT_ONCE: usize = 32;
/// How long one may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(300);

/// The state of the check.
#[derive(Clone)]
pub(super) struct Guard {
    permits: Arc<Semaphore>,
    server: Option<SocketAddr>,
    sources: StatusSources,
}

impl Guard {
    /// For a server on this address, or on the Unix socket if there is none. Each has permits of its own, so that nobody who
    /// reaches one server keeps the commands of the other out.
    pub(super) fn new(server: Option<SocketAddr>, sources: StatusSources) -> Self {
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)), server, sources }
    }
}

/// Lets a request through or answers it. No route reads a body, so none is read.
pub(super) async fn check(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let judge = Judge {
        server: guard.server,
        admin_token: guard.sources.admin_token.as_ref(),
        status_token: guard.sources.status_token.as_ref(),
    };
    let peer = request.extensions().get::<Peer>().copied();
    let Some(access) = judge.judge(peer, request.headers()) else {
        // A web page would ask by a name whose DNS entry points here.
        return error(StatusCode::FORBIDDEN, "this server answers to localhost and loopback addresses only");
    };
    request.extensions_mut().insert(access);
    // Refused instead of queued: requests that wait would hold connections and memory without a bound.
    let Ok(_permit) = guard.permits.try_acquire() else {
        return error(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once; try again");
    };
    match tokio::time::timeout(TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => error(StatusCode::GATEWAY_TIMEOUT, "it took too long; it may go on"),
    }
}
