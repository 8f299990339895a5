//! The admin calls: rescan the runners, roll one back, close its circuit breaker, drain and resume. They need the
//! `ADMIN_TOKEN`.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::answer::error;
use super::sources::StatusSources;
use crate::shutdown::AfterDrain;
use posemesh_plugin_host::registry::Scan;

/// Lets only calls through that carry the token.
pub(super) async fn check(State(sources): State<StatusSources>, request: Request, next: Next) -> Response {
    // Without a token the calls are off, not open: others may be able to reach the address.
    let Some(token) = &sources.admin_token else {
        let text = "admin calls are off: start the node with an ADMIN_TOKEN";
        return error(StatusCode::FORBIDDEN, text);
    };
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    // How long the comparison of the digests takes reveals nothing about the token.
    if Sha256::digest(given) != Sha256::digest(token.expose()) {
        tracing::warn!(path = request.uri().path(), "an admin call without the right token was refused");
        return error(StatusCode::UNAUTHORIZED, "this call needs `Authorization: Bearer ADMIN_TOKEN`");
    }
    tracing::info!(path = request.uri().path(), "admin call");
    next.run(request).await
}

pub(super) async fn rescan(State(sources): State<StatusSources>) -> Response {
    match sources.registry.scan(Scan::Now).await {
        Ok(()) => Json(json!({"plugins": sources.registry.view()})).into_response(),
        Err(io) => error(StatusCode::INTERNAL_SERVER_ERROR, format!("reading PLUGINS_DIR: {io}")),
    }
}

pub(super) async fn rollback(State(sources): State<StatusSources>, Path(name): Path<String>) -> Response {
    match sources.registry.roll_back(&name) {
        Ok(live) => Json(json!({"live": live})).into_response(),
        Err(reason) => error(StatusCode::CONFLICT, reason),
    }
}

/// What `POST /api/admin/drain` may be called with.
#[derive(Debug, Deserialize)]
pub(super) struct DrainQuery {
    /// `stop`, the default, or `stay`.
    #[serde(default)]
    then: AfterDrain,
}

pub(super) async fn drain(
    State(sources): State<StatusSources>,
    query: Result<Query<DrainQuery>, QueryRejection>,
) -> Response {
    let Ok(Query(DrainQuery { then })) = query else {
        return error(StatusCode::BAD_REQUEST, "`then` is `stop`, the default, or `stay`");
    };
    sources.shutdown.drain(then);
    lease_taking(&sources, true)
}

pub(super) async fn resume(State(sources): State<StatusSources>) -> Response {
    if sources.shutdown.stopping().is_cancelled() {
        return error(StatusCode::CONFLICT, "the node is stopping, which can't be undone");
    }
    sources.shutdown.resume();
    lease_taking(&sources, false)
}

fn lease_taking(sources: &StatusSources, draining: bool) -> Response {
    let running = sources.records.totals().running();
    (StatusCode::ACCEPTED, Json(json!({"draining": draining, "running": running}))).into_response()
}

pub(super) async fn close_breaker(
    State(sources): State<StatusSources>,
    Path(name): Path<String>,
) -> Response {
    match sources.registry.close_breaker(&name) {
        Ok(closed) => Json(json!({"closed": closed})).into_response(),
        Err(reason) => error(StatusCode::CONFLICT, reason),
    }
}
