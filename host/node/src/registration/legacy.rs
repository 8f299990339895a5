//! Serves the inbound routes of protocol 1.10 on `LEGACY_HTTP_ADDR`. What they do is in
//! [`super::callback`]; this checks method, content type and size, and bounds what a caller can hold.

#[cfg(test)]
mod tests;

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

use super::machine::Registration;

/// Largest body of a callback.
const LARGEST_BODY: usize = 2 << 20;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Callbacks that are read at a time: each can hold [`LARGEST_BODY`].
const CALLBACKS_AT_A_TIME: usize = 4;

/// The routes, bound to their address and not yet served.
#[derive(Debug)]
pub struct LegacyServer {
    listener: TcpListener,
    registration: Registration,
}

/// Why the routes can't be served.
#[derive(Debug, thiserror::Error)]
#[error("listen on LEGACY_HTTP_ADDR={addr}: {error}; choose a free address, or unset it")]
pub struct LegacyError {
    addr: SocketAddr,
    error: std::io::Error,
}

#[derive(Debug, Clone)]
struct Shared {
    registration: Registration,
    callbacks: Arc<Semaphore>,
}

impl LegacyServer {
    /// Binds the address.
    ///
    /// # Errors
    /// When it is taken or not ours.
    pub async fn bind(addr: SocketAddr, registration: Registration) -> Result<Self, LegacyError> {
        let listener = TcpListener::bind(addr).await.map_err(|error| LegacyError { addr, error })?;
        let addr = listener.local_addr().map_err(|error| LegacyError { addr, error })?;
        tracing::info!(%addr, "serving the legacy routes, which anybody who reaches them can call");
        Ok(Self { listener, registration })
    }

    /// Where it listens.
    pub fn addr(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Serves until `stop` fires; what is under way then is abandoned.
    pub async fn run(self, stop: CancellationToken) {
        let shared = Shared {
            registration: self.registration,
            callbacks: Arc::new(Semaphore::new(CALLBACKS_AT_A_TIME)),
        };
        let router = Router::new()
            .route("/health", get(health))
            .route("/internal/v1/registrations", post(callback))
            .layer(DefaultBodyLimit::max(LARGEST_BODY))
            .with_state(shared);
        let serving = axum::serve(self.listener, router).into_future();
        if let Some(Err(error)) = stop.run_until_cancelled(serving).await {
            tracing::error!(%error, "the legacy routes are served no more");
        }
    }
}

async fn health(State(shared): State<Shared>, headers: HeaderMap) -> StatusCode {
    let user_agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    shared.registration.touch_healthcheck(user_agent);
    StatusCode::OK
}

async fn callback(State(shared): State<Shared>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if !is_json(&head.headers) {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "expected content type application/json");
    }
    let Ok(_permit) = shared.callbacks.try_acquire() else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "too many callbacks at a time");
    };
    let body = match read(&head.headers, body).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    match shared.registration.callback(&body) {
        Ok(()) => (StatusCode::OK, [(CONTENT_TYPE, "application/json")], r#"{"ok":true}"#).into_response(),
        Err(refusal) => {
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
            plain(status, refusal.text)
        }
    }
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Response> {
    let too_large = || plain(StatusCode::PAYLOAD_TOO_LARGE, "the body has more than 2 MiB");
    let length = headers.get(axum::http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if length.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| length > LARGEST_BODY) {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, LARGEST_BODY)).await {
        Ok(Ok(body)) => Ok(body),
        // Too large, or the caller went away: whom it is told then does not matter.
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
