//! A request with its route, and how endpoints read its parts.

use axum::body::{Body, to_bytes};
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use crate::response::ApiError;
use crate::route::{QueryParams, Route};

/// The largest JSON body that is read, in bytes.
const MAX_JSON_BYTES: usize = 1 << 20;

/// A request on the way to the function of its endpoint.
#[derive(Debug)]
pub(crate) struct ApiRequest {
    pub(crate) route: Route,
    pub(crate) query: QueryParams,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

/// Reads a JSON body of at most [`MAX_JSON_BYTES`]. The content type does not matter.
pub(crate) async fn read_json<T: DeserializeOwned>(body: Body) -> Result<T, ApiError> {
    let bytes = to_bytes(body, MAX_JSON_BYTES).await.map_err(|error| {
        // The only other cause is a broken connection, which no answer reaches.
        ApiError::too_large(format!(
            "body could not be read or has more than {MAX_JSON_BYTES} bytes: {error}"
        ))
    })?;
    let mut json = serde_json::Deserializer::from_slice(&bytes);
    let invalid = |error: String| ApiError::bad_request(format!("invalid JSON body: {error}"));
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| invalid(error.to_string()))?;
    // Without this, anything could follow the value.
    json.end().map_err(|error| invalid(error.to_string()))?;
    Ok(value)
}

/// The bearer token of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}
