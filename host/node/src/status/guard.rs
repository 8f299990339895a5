//! What holds for every request: bounded in number, time and body, and meant for this server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Semaphore;
use url::Url;

use super::answer::error;
use posemesh_net::url::is_loopback;

/// How many requests are answered at the same time.
const AT_ONCE: usize = 32;
/// How long one may take; a rescan compiles.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The state of the check.
#[derive(Clone)]
pub(super) struct Guard {
    permits: Arc<Semaphore>,
    only_loopback: bool,
}

impl Guard {
    /// For a server on this address.
    pub(super) fn new(addr: SocketAddr) -> Self {
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)), only_loopback: addr.ip().is_loopback() }
    }
}

/// Lets a request through or answers it. No route reads a body, so none is read.
pub(super) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    // On any other address the operator chooses the names, and the node can't know them.
    if guard.only_loopback && !names_loopback(host) {
        // A web page would ask by a name whose DNS entry points here.
        return error(StatusCode::FORBIDDEN, "this server answers to localhost and loopback addresses only");
    }
    // Refused instead of queued: requests that wait would hold connections and memory without a bound.
    let Ok(_permit) = guard.permits.try_acquire() else {
        return error(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once; try again");
    };
    match tokio::time::timeout(TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => error(StatusCode::GATEWAY_TIMEOUT, "it took too long; it may go on"),
    }
}

/// Whether a `Host` header, `NAME` or `NAME:PORT`, names this machine.
fn names_loopback(host: &str) -> bool {
    // These would begin another part of the URL.
    !host.contains(['/', '\\', '?', '#', '@'])
        && Url::parse(&format!("http://{host}/")).is_ok_and(|url| is_loopback(&url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_loopback() {
        for host in ["localhost", "LOCALHOST:8090", "127.0.0.1:8090", "127.9.9.9", "[::1]:8090"] {
            assert!(names_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example:8090",
            "localhost.evil.example",
            "10.0.0.1",
            "a b",
            "127.0.0.1/x",
            "evil.example@127.0.0.1",
            "127.0.0.1?x",
        ] {
            assert!(!names_loopback(host), "{host}");
        }
    }
}
