//! The HTTP server: each request is routed, recorded, hit by faults, acted on and answered.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http::{HeaderValue, StatusCode, header};
use tokio::net::TcpListener;

use crate::connection::{Connection, ConnectionListener};
use crate::endpoint::Endpoint;
use crate::faults::apply;
use crate::request::ApiRequest;
use crate::response::{ApiError, ApiResult, empty};
use crate::route::{QueryParams, Route, RouteError};
use crate::servers::Servers;
use crate::{dds, dms, domain};

/// Serves until [`Servers::stop`] is cancelled; every connection has ended then.
pub(crate) async fn serve(servers: Arc<Servers>, listener: TcpListener) -> io::Result<()> {
    let stop = servers.stop.clone();
    let listener = ConnectionListener::new(listener, stop.clone());
    // One handler for everything: requests for unknown paths are recorded and hit by faults too.
    let app = Router::new().fallback(handle).with_state(servers);
    // `stop` cuts the connections as well, so the graceful shutdown does not wait for their requests.
    axum::serve(listener, app.into_make_service_with_connect_info::<Connection>())
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

async fn handle(
    State(servers): State<Arc<Servers>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let query = QueryParams::parse(head.uri.query());
    let route = Route::find(&head.method, head.uri.path(), &query, &head.headers);
    let endpoint = route.as_ref().ok().map(|route| route.endpoint);
    let (ids, effects): (Vec<_>, Vec<_>) =
        servers.faults.select(endpoint, head.uri.path()).into_iter().unzip();
    // Before anything can delay it: a request that hangs must be seen to have arrived.
    let (seq, body_bytes) = servers.requests.begin(&servers.tokens, &head, endpoint, ids);
    servers.changed();

    let mut response = match apply::before(&effects, &servers.stop).await {
        Some(response) => response,
        None => {
            let body = counted(body, body_bytes);
            let result = match route {
                Ok(route) => act(&servers, ApiRequest { route, query, headers: head.headers, body }).await,
                Err(RouteError::UnknownPath) => Err(ApiError::not_found("not found")),
                Err(RouteError::WrongMethod) => {
                    Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed"))
                }
            };
            apply::after(&effects, result.into_response(), &connection, &servers.stop).await
        }
    };

    // Checked last: another fault may have answered or delayed a request whose connection is to be closed.
    let dropped = apply::drops(&effects);
    if dropped {
        connection.cut();
    }
    apply::set_headers(&effects, &mut response);
    if let Ok(date) = HeaderValue::from_str(&servers.clock.http_date()) {
        response.headers_mut().insert(header::DATE, date);
    }
    servers.requests.end(seq, (!dropped).then(|| response.status().as_u16()));
    servers.changed();
    response
}

/// A body that counts its bytes as they are read.
fn counted(body: Body, counter: Arc<AtomicU64>) -> Body {
    Body::from_stream(body.into_data_stream().inspect(move |chunk| {
        if let Ok(chunk) = chunk {
            counter.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
    }))
}

async fn act(servers: &Servers, request: ApiRequest) -> ApiResult {
    match request.route.endpoint {
        Endpoint::Health => empty(StatusCode::OK),
        Endpoint::SiweRequest => dds::node::request_nonce(servers, request).await,
        Endpoint::RegisterWallet => dds::node::register(servers, request).await,
        Endpoint::SiweVerify => dds::node::log_in(servers, request).await,
        Endpoint::RobotRegister => dds::robot::register(servers, request).await,
        Endpoint::RobotVerify => dds::robot::log_in(servers, request).await,
        Endpoint::AppToken => dds::app::log_in(servers, &request),
        Endpoint::DomainToken => dds::app::open_domain(servers, &request),
        Endpoint::Lease => dms::lease::lease(servers, &request),
        Endpoint::Heartbeat => dms::tasks::heartbeat(servers, request).await,
        Endpoint::Complete => dms::tasks::complete(servers, request).await,
        Endpoint::Fail => dms::tasks::fail(servers, request).await,
        Endpoint::SubmitJob => dms::jobs::submit(servers, request).await,
        Endpoint::ListJobs => dms::jobs::list(servers, &request),
        Endpoint::GetJob => dms::jobs::get(servers, &request),
        Endpoint::CancelJob => dms::jobs::cancel(servers, &request),
        Endpoint::DeleteJob => dms::jobs::delete(servers, &request),
        Endpoint::Info => domain::info::get(servers),
        Endpoint::ListData => domain::read::list(servers, &request),
        Endpoint::DownloadData => domain::read::download(servers, &request),
        Endpoint::GetData => domain::read::get(servers, &request),
        Endpoint::GetRawData => domain::read::get_raw(servers, request).await,
        Endpoint::DeleteData => domain::write::delete(servers, request).await,
        Endpoint::CreateData => domain::write::create(servers, request).await,
        Endpoint::UpdateData => domain::write::update(servers, request).await,
        Endpoint::MultipartInitiate => domain::multipart::initiate(servers, request).await,
        Endpoint::MultipartPart => domain::multipart::put_part(servers, request).await,
        Endpoint::MultipartComplete => domain::multipart::complete(servers, request).await,
        Endpoint::MultipartAbort => domain::multipart::abort(servers, &request),
    }
}
