//! `GET /ready`: whether the node can take work now, and if not, everything that is missing; and what else is not as it
//! was asked for.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::sources::StatusSources;

pub(super) async fn answer(State(sources): State<StatusSources>) -> Response {
    let missing = sources.readiness.missing();
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let warnings = sources.readiness.warnings();
    let answer = json!({"ready": missing.is_empty(), "missing": missing, "warnings": warnings});
    (status, Json(answer)).into_response()
}
