//! `GET /ready`: whether the node can take work now, and if not, everything that is missing.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::sources::StatusSources;

pub(super) async fn answer(State(sources): State<StatusSources>) -> Response {
    let missing = sources.readiness.missing();
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": missing.is_empty(), "missing": missing}))).into_response()
}
