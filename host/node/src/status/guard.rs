//! What holds for every request: bounded in number, time and body, and meant for this server.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Semaphore;

use super::error;

/// Requests that are answered at once.
const AT_ONCE: usize = 32;
/// How long one may take; a rescan compiles.
const TIMEOUT: Duration = Duration::from_secs(300);

/// What the check knows.
#[derive(Clone)]
pub struct Guard {
    permits: Arc<Semaphore>,
    only_loopback: bool,
}

impl Guard {
    /// For a server on this address.
    pub fn new(addr: SocketAddr) -> Self {
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)), only_loopback: addr.ip().is_loopback() }
    }
}

/// Lets a request through or answers it. No route reads a body, so none is read.
pub async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if guard.only_loopback && !is_loopback(host) {
        // A name that somebody's DNS leads here is how a web page would ask.
        return error(StatusCode::FORBIDDEN, "this server answers to localhost and loopback addresses only");
    }
    let Ok(_permit) = guard.permits.try_acquire() else {
        return error(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once; try again");
    };
    match tokio::time::timeout(TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => error(StatusCode::GATEWAY_TIMEOUT, "it took too long; it may go on"),
    }
}

fn is_loopback(host: &str) -> bool {
    let uri: Option<Uri> = format!("http://{host}/").parse().ok();
    let name = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let address: Option<IpAddr> = name.trim_start_matches('[').trim_end_matches(']').parse().ok();
    name.eq_ignore_ascii_case("localhost") || address.is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_loopback() {
        for host in ["localhost", "LOCALHOST:8090", "127.0.0.1:8090", "127.9.9.9", "[::1]:8090"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "evil.example", "127.0.0.1.evil.example:8090", "localhost.evil.example", "10.0.0.1", "a b"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
