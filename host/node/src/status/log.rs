//! `GET /api/log`: the last lines of the log, as they were written. For callers on this machine, and for those with the
//! `ADMIN_TOKEN`: the log names domains and servers.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::admin::has_token;
use super::answer::error;
use super::sources::StatusSources;
use crate::http_server::Peer;
use crate::telemetry::recent_lines;

pub(super) async fn answer(State(sources): State<StatusSources>, request: Request) -> Response {
    let is_local = request.extensions().get::<Peer>().is_some_and(|Peer(addr)| addr.ip().is_loopback());
    let has_token = sources.admin_token.as_ref().is_some_and(|token| has_token(request.headers(), token));
    if !is_local && !has_token {
        return error(
            StatusCode::FORBIDDEN,
            "the log is for callers on this machine, or with the ADMIN_TOKEN",
        );
    }
    let mut text = recent_lines().join("\n");
    text.push('\n');
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
