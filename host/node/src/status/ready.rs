//! `GET /ready`: whether the node can take work now, and if not, everything that is missing; and what else is not as it
//! was asked for.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::access::{Access, access};
use super::sources::StatusSources;

pub(super) async fn answer(State(sources): State<StatusSources>, request: Request) -> Response {
    let missing = sources.readiness.missing();
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // A probe of another machine needs the word alone: what is missing names servers, domains and runners.
    if access(&request) < Access::Read {
        return (status, Json(json!({"ready": missing.is_empty()}))).into_response();
    }
    let warnings = sources.readiness.warnings();
    let answer = json!({"ready": missing.is_empty(), "missing": missing, "warnings": warnings});
    (status, Json(answer)).into_response()
}
