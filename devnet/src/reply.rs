//! What every endpoint answers with: JSON objects, or a status with plain text.

use std::borrow::Cow;
use std::io;

use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::DevnetError;

/// Why a request is not served.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) reason: Cow<'static, str>,
}

/// What an endpoint makes of a request.
pub(crate) type Answer = Result<Response, Refusal>;

impl Refusal {
    pub(crate) fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { status, reason: reason.into() }
    }

    pub(crate) fn bad_request(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    pub(crate) fn unauthorized(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, reason)
    }

    pub(crate) fn forbidden(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, reason)
    }

    pub(crate) fn not_found(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, reason)
    }

    pub(crate) fn conflict(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, reason)
    }

    pub(crate) fn too_large(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
    }

    /// The disk failed; the client is told no more than that.
    pub(crate) fn disk(error: &io::Error) -> Self {
        tracing::error!(%error, "devnet storage failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal server error")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, self.reason).into_response()
    }
}

impl From<Refusal> for DevnetError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { status: refusal.status.as_u16(), reason: refusal.reason.into_owned() }
    }
}

/// 200 with a JSON body.
pub(crate) fn json(value: &impl Serialize) -> Answer {
    Ok(axum::Json(value).into_response())
}

/// A status with nothing else.
pub(crate) fn empty(status: StatusCode) -> Answer {
    Ok(status.into_response())
}

/// Reads a JSON body of at most `limit` bytes.
pub(crate) async fn read_json<T: DeserializeOwned>(body: Body, limit: usize) -> Result<T, Refusal> {
    let bytes = to_bytes(body, limit).await.map_err(|error| {
        // The only error besides the limit is a connection that broke, where no answer arrives anyway.
        Refusal::too_large(format!("body could not be read or has more than {limit} bytes: {error}"))
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::bad_request(format!("invalid JSON body: {error}")))
}

/// The bearer token of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}
