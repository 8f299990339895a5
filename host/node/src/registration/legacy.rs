//! Serves the inbound routes of protocol 1.10 on `LEGACY_HTTP_ADDR`. What they do is in
//! [`super::callback`]; this checks method, content type and size, and bounds what a caller can hold.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::callback::{log_healthcheck, receive_callback};
use super::state::Registration;
use crate::http_server::{self, ServerLimits};

/// Largest body of a callback.
const LARGEST_BODY: usize = 2 << 20;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How many callbacks are read at a time: each can hold [`LARGEST_BODY`].
const CALLBACKS_AT_A_TIME: usize = 4;

/// What callers may hold. An answer takes no longer than its body.
const LIMITS: ServerLimits = ServerLimits {
    connections: 64,
    head_timeout: Duration::from_secs(10),
    connection_time: Duration::from_secs(120),
    last_requests: Duration::from_secs(1),
};

/// The routes, bound to their address and not yet served.
#[derive(Debug)]
pub(crate) struct LegacyServer {
    listener: TcpListener,
    registration: Registration,
}

/// Why the routes can't be served.
#[derive(Debug, thiserror::Error)]
#[error("listen on LEGACY_HTTP_ADDR={addr}: {error}; choose a free address, or unset it")]
pub(crate) struct LegacyError {
    addr: SocketAddr,
    error: std::io::Error,
}

#[derive(Debug, Clone)]
struct LegacyState {
    registration: Registration,
    callbacks: Arc<Semaphore>,
}

impl LegacyServer {
    /// Binds the address.
    ///
    /// # Errors
    /// When the address is in use or not one of this machine's.
    pub(crate) async fn bind(addr: SocketAddr, registration: Registration) -> Result<Self, LegacyError> {
        let listener = TcpListener::bind(addr).await.map_err(|error| LegacyError { addr, error })?;
        let addr = listener.local_addr().map_err(|error| LegacyError { addr, error })?;
        tracing::info!(%addr, "serving the legacy routes, which anybody who reaches them can call");
        Ok(Self { listener, registration })
    }

    #[cfg(test)]
    fn addr(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Serves until `stop` fires; requests in flight then get a moment.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let state = LegacyState {
            registration: self.registration,
            callbacks: Arc::new(Semaphore::new(CALLBACKS_AT_A_TIME)),
        };
        let router = Router::new()
            .route("/health", get(health))
            .route("/internal/v1/registrations", post(callback))
            .layer(DefaultBodyLimit::max(LARGEST_BODY))
            .with_state(state);
        http_server::serve(self.listener, router, "the server of the legacy routes", LIMITS, stop).await;
    }
}

async fn health(headers: HeaderMap) -> StatusCode {
    let user_agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    log_healthcheck(user_agent);
    StatusCode::OK
}

async fn callback(State(state): State<LegacyState>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    // Checked before a permit is taken, so that such requests can't keep proper callbacks out.
    if !is_json(&head.headers) {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "expected content type application/json");
    }
    // Refused instead of queued: callers that wait would hold connections and memory.
    let Ok(_permit) = state.callbacks.try_acquire() else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "too many callbacks at a time");
    };
    let body = match read(&head.headers, body).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    match receive_callback(&state.registration, &body) {
        Ok(()) => (StatusCode::OK, [(CONTENT_TYPE, "application/json")], r#"{"ok":true}"#).into_response(),
        Err(refusal) => {
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
            plain(status, refusal.text)
        }
    }
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Response> {
    let too_large = || plain(StatusCode::PAYLOAD_TOO_LARGE, "the body has more than 2 MiB");
    // A body that is announced as too large is refused before any of it is read.
    let length = headers.get(axum::http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if length.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| length > LARGEST_BODY) {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, LARGEST_BODY)).await {
        Ok(Ok(body)) => Ok(body),
        // Too large, or the caller went away: then nobody reads the answer.
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err(plain(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")),
    }
}

/// `application/json`, or another type whose suffix says that it is JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, text).into_response()
}

#[cfg(test)]
mod tests;
