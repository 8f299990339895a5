//! The admin calls: rescan the runners, roll one back, close its circuit breaker, drain and resume, and choose which lines
//! are logged. They need the `ADMIN_TOKEN`, or come by the node's Unix socket.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::access::{Access, access};
use super::answer::error;
use super::guard::TIMEOUT;
use super::sources::StatusSources;
use crate::audit::AuditLog;
use crate::http_server::Peer;
use crate::shutdown::{AfterDrain, Pause};
use crate::telemetry;
use posemesh_text::one_line;

/// The longest note of a pause, in bytes.
const MAX_NOTE: usize = 300;
/// The longest time that a pause can be given: a month.
const LONGEST_PAUSE_SECS: u64 = 31 * 24 * 3600;
/// How long an answer waits for runners that are loaded: one component may be compiled for longer (`COMPILE_TIMEOUT_SECS`), and
/// is named then.
const LOAD_WAIT: Duration = Duration::from_secs(240);
const _: () = assert!(LOAD_WAIT.as_secs() < TIMEOUT.as_secs(), "else it is cut off");
/// The shortest time between two lines about refused calls.
const REFUSED_INTERVAL: Duration = Duration::from_secs(10);
/// How much of the path of a call is recorded.
const MAX_PATH: usize = 400;

/// Lets only calls through that carry the token or come by the Unix socket, and records all of them.
pub(super) async fn check(State(sources): State<StatusSources>, request: Request, next: Next) -> Response {
    let from = request.extensions().get::<Peer>().map(Peer::to_string).unwrap_or_default();
    // The router has taken the prefix off for the routes below it.
    let call = one_line(format_args!("/api/admin{}", request.uri()), MAX_PATH);
    let recorded = |status: StatusCode| {
        [("from", from.clone().into()), ("call", call.clone().into()), ("status", status.as_u16().into())]
    };
    if access(&request) < Access::Command {
        // Without a token the calls are off here, not open: others may be able to reach the address.
        if sources.admin_token.is_none() {
            let text = "admin calls are off at this address: call the control socket, as commands on the node's machine do, or \
                        start the node with an ADMIN_TOKEN";
            sources.audit.record_refused_call(recorded(StatusCode::FORBIDDEN));
            return error(StatusCode::FORBIDDEN, text);
        }
        warn_of_refused(&call);
        sources.audit.record_refused_call(recorded(StatusCode::UNAUTHORIZED));
        return error(StatusCode::UNAUTHORIZED, "this call needs `Authorization: Bearer ADMIN_TOKEN`");
    }
    tracing::info!(call, "admin call");
    let mut answered = RecordedCall { audit: sources.audit.clone(), from, call, status: None };
    let response = next.run(request).await;
    answered.status = Some(response.status());
    response
}

/// Says that a call was refused, once in ten seconds at most: anybody who reaches the address could fill the log.
fn warn_of_refused(call: &str) {
    static LAST: Mutex<(Option<Instant>, u64)> = Mutex::new((None, 0));
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let (at, unsaid) = &mut *last;
    if at.is_some_and(|at| at.elapsed() < REFUSED_INTERVAL) {
        *unsaid += 1;
        return;
    }
    *at = Some(Instant::now());
    let before = std::mem::take(unsaid);
    drop(last);
    tracing::warn!(call, before, "an admin call without the right token was refused");
}

/// A call that was let through. Recorded when it is dropped, so that one whose caller has gone is recorded as well.
struct RecordedCall {
    audit: AuditLog,
    from: String,
    call: String,
    status: Option<StatusCode>,
}

impl Drop for RecordedCall {
    fn drop(&mut self) {
        let [from, call] = [&mut self.from, &mut self.call].map(|text| std::mem::take(text).into());
        // Without an answer nobody knows how far it got.
        let status = self.status.map_or(Value::Null, |status| status.as_u16().into());
        self.audit.record("admin_call", [("from", from), ("call", call), ("status", status)]);
    }
}

/// For how long a call that loads runners waits for them.
pub(super) struct LoadWait(Duration);

#[derive(Deserialize)]
struct LoadQuery {
    /// In seconds; [`LOAD_WAIT`] at most, and without it.
    wait_secs: Option<u64>,
}

impl<S: Send + Sync> FromRequestParts<S> for LoadWait {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Ok(Query(LoadQuery { wait_secs })) = Query::from_request_parts(parts, state).await else {
            return Err(error(StatusCode::BAD_REQUEST, "`wait_secs` is a whole number of seconds"));
        };
        Ok(Self(wait_secs.map_or(LOAD_WAIT, Duration::from_secs).min(LOAD_WAIT)))
    }
}

pub(super) async fn rescan(State(sources): State<StatusSources>, LoadWait(wait): LoadWait) -> Response {
    match sources.registry.scan_within(wait).await {
        Ok(left) => Json(json!({"plugins": sources.registry.view(), "still_loading": left})).into_response(),
        Err(io) => error(StatusCode::INTERNAL_SERVER_ERROR, format!("reading PLUGINS_DIR: {io}")),
    }
}

/// Reads the settings again, and looks for runners.
pub(super) async fn reload(State(sources): State<StatusSources>, LoadWait(wait): LoadWait) -> Response {
    let mut reloaded = match (sources.reload)().await {
        Ok(reloaded) => reloaded,
        Err(wrong) => return error(StatusCode::CONFLICT, wrong),
    };
    match sources.registry.scan_within(wait).await {
        Ok(left) => {
            if let Some(fields) = reloaded.as_object_mut() {
                fields.insert("still_loading".to_owned(), left.into());
            }
            Json(reloaded).into_response()
        }
        Err(io) => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the settings are in force; reading PLUGINS_DIR: {io}"),
        ),
    }
}

pub(super) async fn rollback(State(sources): State<StatusSources>, Path(name): Path<String>) -> Response {
    match sources.registry.roll_back(&name) {
        Ok(live) => {
            // Before the answer: what somebody was told holds, whatever becomes of the node.
            sources.registry.remember().await;
            Json(json!({"live": live})).into_response()
        }
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
    lease_taking(&sources, true).await
}

/// What `POST /api/admin/pause` may be called with.
#[derive(Debug, Deserialize)]
pub(super) struct PauseQuery {
    /// For people who look.
    #[serde(default)]
    note: String,
    /// For how long; until the node is resumed if there is none.
    secs: Option<u64>,
}

pub(super) async fn pause(
    State(sources): State<StatusSources>,
    query: Result<Query<PauseQuery>, QueryRejection>,
) -> Response {
    let Ok(Query(PauseQuery { note, secs })) = query else {
        return error(StatusCode::BAD_REQUEST, "`note` is a text, and `secs` a whole number of seconds");
    };
    if secs.is_some_and(|secs| secs == 0 || secs > LONGEST_PAUSE_SECS) {
        let text = format!(
            "`secs` is from 1 to {LONGEST_PAUSE_SECS}; without it the pause ends when the node is resumed"
        );
        return error(StatusCode::BAD_REQUEST, text);
    }
    let note = one_line(&note, MAX_NOTE);
    let until = secs.map(|secs| Instant::now() + Duration::from_secs(secs));
    if !sources.shutdown.pause(Pause { note: note.clone(), until }) {
        return error(
            StatusCode::CONFLICT,
            "the node drains and then stops; resume it first if it is to stay (posemesh-node resume)",
        );
    }
    tracing::warn!(note, secs, "paused: no new leases");
    lease_taking(&sources, true).await
}

pub(super) async fn resume(State(sources): State<StatusSources>) -> Response {
    if sources.shutdown.stopping().is_cancelled() {
        return error(StatusCode::CONFLICT, "the node is stopping, which can't be undone");
    }
    sources.shutdown.resume();
    lease_taking(&sources, false).await
}

/// What `POST /api/admin/log` is called with.
#[derive(Debug, Deserialize)]
pub(super) struct LogQuery {
    /// A level, and levels for parts, as `RUST_LOG` takes them.
    filter: String,
}

pub(super) async fn log(query: Result<Query<LogQuery>, QueryRejection>) -> Response {
    let Ok(Query(LogQuery { filter })) = query else {
        return error(
            StatusCode::BAD_REQUEST,
            "`filter` is needed: /api/admin/log?filter=info,posemesh=debug",
        );
    };
    if filter.trim().is_empty() {
        return error(StatusCode::BAD_REQUEST, "an empty `filter` would log nothing; `off` says so");
    }
    let before = telemetry::filter();
    match telemetry::set_filter(&filter) {
        Ok(()) => {
            let filter = one_line(&filter, MAX_PATH);
            tracing::warn!(filter, before, "other lines are logged from now on, until the node ends");
            Json(json!({"filter": filter, "before": before})).into_response()
        }
        Err(refused) => error(StatusCode::BAD_REQUEST, refused.to_string()),
    }
}

async fn lease_taking(sources: &StatusSources, draining: bool) -> Response {
    // Before the answer: what somebody was told holds, whatever becomes of the node.
    let noted = (sources.remember_pause)().await;
    let running = sources.records.totals().running();
    let answer = json!({"draining": draining, "running": running, "noted": noted});
    (StatusCode::ACCEPTED, Json(answer)).into_response()
}

pub(super) async fn close_breaker(
    State(sources): State<StatusSources>,
    Path(name): Path<String>,
) -> Response {
    match sources.registry.close_breaker(&name) {
        Ok(closed) => {
            sources.registry.remember().await;
            Json(json!({"closed": closed})).into_response()
        }
        Err(reason) => error(StatusCode::CONFLICT, reason),
    }
}
