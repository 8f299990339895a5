//! The admin calls: look at the runners now, take one back, drain. They need the `ADMIN_TOKEN`.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Watched, error};
use posemesh_plugin_host::registry::Scan;

/// Lets a call through that carries the token.
pub(super) async fn check(State(watched): State<Watched>, request: Request, next: Next) -> Response {
    let Some(token) = &watched.admin_token else {
        let text = "admin calls are off: start the node with an ADMIN_TOKEN";
        return error(StatusCode::FORBIDDEN, text);
    };
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    // The digests' comparison may take what time it takes: it tells nothing of the token.
    if Sha256::digest(given) != Sha256::digest(token.expose()) {
        tracing::warn!(path = request.uri().path(), "an admin call without the right token was refused");
        return error(StatusCode::UNAUTHORIZED, "this call needs `Authorization: Bearer ADMIN_TOKEN`");
    }
    tracing::info!(path = request.uri().path(), "admin call");
    next.run(request).await
}

pub(super) async fn rescan(State(watched): State<Watched>) -> Response {
    match watched.registry.scan(Scan::Now).await {
        Ok(()) => Json(json!({"plugins": watched.registry.view()})).into_response(),
        Err(io) => error(StatusCode::INTERNAL_SERVER_ERROR, format!("reading PLUGINS_DIR: {io}")),
    }
}

pub(super) async fn rollback(State(watched): State<Watched>, Path(name): Path<String>) -> Response {
    match watched.registry.roll_back(&name) {
        Ok(live) => Json(json!({"live": live})).into_response(),
        Err(reason) => error(StatusCode::CONFLICT, reason),
    }
}

pub(super) async fn drain(State(watched): State<Watched>) -> Response {
    watched.shutdown.drain();
    let running = watched.records.totals().running();
    (StatusCode::ACCEPTED, Json(json!({"draining": true, "running": running}))).into_response()
}
