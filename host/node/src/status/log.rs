//! `GET /api/log`: the last lines of the log, as they were written. For callers on this machine, and for those with the
//! `ADMIN_TOKEN`: the log names domains and servers.

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::access::{Access, access};
use super::answer::error;
use crate::telemetry::recent_lines;

pub(super) async fn answer(request: Request) -> Response {
    if access(&request) < Access::ReadHere {
        return error(
            StatusCode::FORBIDDEN,
            "the log is for callers on this machine, or with the ADMIN_TOKEN",
        );
    }
    let mut text = recent_lines().join("\n");
    text.push('\n');
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
