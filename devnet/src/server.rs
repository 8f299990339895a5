//! The way of a request: found, recorded, hit by faults, served, answered.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http::{HeaderValue, StatusCode, header};
use tokio::net::TcpListener;

use crate::conn::{Conn, ConnListener};
use crate::faults::{Effect, body};
use crate::reply::{Answer, Refusal, empty};
use crate::route::{Endpoint, NoRoute, Query, Route};
use crate::state::{Call, Core};
use crate::{dds, dms, domain};

/// Serves until the core is stopped; every connection has ended then.
pub(crate) async fn serve(core: Arc<Core>, listener: TcpListener) -> io::Result<()> {
    let stop = core.stop.clone();
    let listener = ConnListener::new(listener, stop.clone());
    let app = Router::new().fallback(entry).with_state(core);
    axum::serve(listener, app.into_make_service_with_connect_info::<Conn>())
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

async fn entry(
    State(core): State<Arc<Core>>,
    ConnectInfo(conn): ConnectInfo<Conn>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let query = Query::parse(head.uri.query());
    let route = Route::find(&head.method, head.uri.path(), &query, &head.headers);
    let endpoint = route.as_ref().ok().map(|route| route.endpoint);
    let (ids, effects): (Vec<_>, Vec<_>) = core.faults.select(endpoint, head.uri.path()).into_iter().unzip();
    let seen = (&head.method, &head.uri, &head.headers);
    let (seq, counter) = core.recorder.begin(&core, seen, endpoint, ids);
    core.changed();

    let response = match before(&core, &effects).await {
        Some(response) => response,
        None => {
            let body = counted(body, counter);
            let answer = match route {
                Ok(route) => act(&core, Call { route, query, headers: head.headers, body }).await,
                Err(NoRoute::UnknownPath) => Err(Refusal::not_found("not found")),
                Err(NoRoute::WrongMethod) => {
                    Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed"))
                }
            };
            after(&core, &effects, answer.into_response(), &conn).await
        }
    };
    finish(&core, seq, response, &effects, &conn)
}

/// Faults that come before the request is acted on, and perhaps instead.
async fn before(core: &Core, effects: &[Effect]) -> Option<Response> {
    for effect in effects {
        match effect {
            Effect::DelayBefore(delay) => pause(core, *delay).await,
            Effect::DropBefore => return Some(StatusCode::NO_CONTENT.into_response()),
            Effect::Answer { status, content_type, body } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                return Some((status, [(header::CONTENT_TYPE, *content_type)], body.clone()).into_response());
            }
            _ => {}
        }
    }
    None
}

/// Faults that come between acting and answering.
async fn after(core: &Core, effects: &[Effect], mut response: Response, conn: &Conn) -> Response {
    for effect in effects {
        match effect {
            Effect::DelayAfter(delay) => pause(core, *delay).await,
            Effect::Truncate { after, clean } => {
                response = body::truncate(response, *after, *clean, conn.clone());
            }
            Effect::Drip { chunk, pause } => response = body::drip(response, *chunk, *pause),
            Effect::Garbage { bytes } => response = body::garbage(response, *bytes),
            Effect::Merge(patch) => response = body::merge(response, patch).await,
            _ => {}
        }
    }
    response
}

fn finish(core: &Core, seq: u64, mut response: Response, effects: &[Effect], conn: &Conn) -> Response {
    let dropped = effects.iter().any(|effect| matches!(effect, Effect::DropBefore | Effect::DropAfter));
    // A delay before an ordered answer must not be answered when the order is to drop, so this is last.
    if dropped {
        conn.cut();
    }
    for effect in effects {
        if let Effect::Header { name, value } = effect {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
    if let Ok(date) = HeaderValue::from_str(&core.clock.http_date()) {
        response.headers_mut().insert(header::DATE, date);
    }
    core.recorder.end(seq, (!dropped).then(|| response.status().as_u16()));
    core.changed();
    response
}

async fn pause(core: &Core, delay: Duration) {
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = core.stop.cancelled() => {}
    }
}

fn counted(body: Body, counter: Arc<AtomicU64>) -> Body {
    Body::from_stream(body.into_data_stream().inspect(move |chunk| {
        if let Ok(chunk) = chunk {
            counter.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
    }))
}

async fn act(core: &Arc<Core>, call: Call) -> Answer {
    use Endpoint::*;
    match call.route.endpoint {
        Health => empty(StatusCode::OK),
        SiweRequest => dds::node::request(core, call).await,
        RegisterWallet => dds::node::register(core, call).await,
        SiweVerify => dds::node::verify(core, call).await,
        RobotRegister => dds::robot::register(core, call).await,
        RobotVerify => dds::robot::verify(core, call).await,
        AppToken => dds::app::log_in(core, &call),
        DomainToken => dds::app::open_domain(core, &call),
        Lease => dms::lease::lease(core, &call),
        Heartbeat => dms::tasks::heartbeat(core, call).await,
        Complete => dms::tasks::complete(core, call).await,
        Fail => dms::tasks::fail(core, call).await,
        SubmitJob => dms::jobs::submit(core, call).await,
        ListJobs => dms::jobs::list(core, &call),
        GetJob => dms::jobs::get(core, &call),
        CancelJob => dms::jobs::cancel(core, &call),
        DeleteJob => dms::jobs::delete(core, &call),
        Info => domain::info(core),
        ListData => domain::read::list(core, &call),
        DownloadData => domain::read::download(core, &call),
        GetData => domain::read::get(core, &call),
        GetRawData => domain::read::get_raw(core, call).await,
        DeleteData => domain::write::delete(core, call).await,
        CreateData => domain::write::create(core, call).await,
        UpdateData => domain::write::update(core, call).await,
        MultipartInitiate => domain::multipart::initiate(core, call).await,
        MultipartPart => domain::multipart::part(core, call).await,
        MultipartComplete => domain::multipart::complete(core, call).await,
        MultipartAbort => domain::multipart::abort(core, call).await,
    }
}
