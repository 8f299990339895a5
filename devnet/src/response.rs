//! What endpoints answer with: a JSON object, or a status with plain text.

use std::borrow::Cow;
use std::io;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use crate::error::DevnetError;

/// The answer to a request that is not fulfilled: a status, and the reason as plain text.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    reason: Cow<'static, str>,
}

/// The answer of an endpoint.
pub(crate) type ApiResult = Result<Response, ApiError>;

impl ApiError {
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

    /// An I/O error of the data directory. The real server does not reveal its own either, so the details
    /// go to the log only.
    pub(crate) fn disk(error: &io::Error) -> Self {
        tracing::error!(%error, "devnet storage failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal server error")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, self.reason).into_response()
    }
}

impl From<ApiError> for DevnetError {
    fn from(error: ApiError) -> Self {
        Self::Refused { status: error.status.as_u16(), reason: error.reason.into_owned() }
    }
}

/// 200 with a JSON body.
pub(crate) fn json(value: &impl Serialize) -> ApiResult {
    Ok(axum::Json(value).into_response())
}

/// A status without a body.
pub(crate) fn empty(status: StatusCode) -> ApiResult {
    Ok(status.into_response())
}
