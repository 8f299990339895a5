//! Binds the address, and serves the routes.

use std::net::SocketAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::answer::error;
use super::settings::StatusSettings;
use super::sources::StatusSources;
use super::{access, admin, events, guard, log, metrics, node, overview, page, ready, tasks};
use crate::http_server::{self, ServerLimits};

/// The server, bound to its address and not yet serving.
#[derive(Debug)]
pub(crate) struct StatusServer {
    listener: TcpListener,
    addr: SocketAddr,
}

/// Why the status server can't listen.
#[derive(Debug, thiserror::Error)]
#[error(
    "listening on STATUS_ADDR={addr}: {error}; another node may have this address: choose a free one of this machine, or `off`"
)]
pub(crate) struct StatusError {
    addr: SocketAddr,
    error: std::io::Error,
}

impl StatusServer {
    /// Binds the address. None if it is off.
    ///
    /// # Errors
    /// When the address is not free: whoever asks there would be answered by another node.
    pub(crate) async fn bind(settings: &StatusSettings) -> Result<Option<Self>, StatusError> {
        let Some(addr) = settings.addr else { return Ok(None) };
        let fail = |error| StatusError { addr, error };
        let listener = TcpListener::bind(addr).await.map_err(fail)?;
        // For port 0 the kernel chooses one, and that is the address to show.
        let addr = listener.local_addr().map_err(fail)?;
        tracing::info!(%addr, "the status server listens");
        Ok(Some(Self { listener, addr }))
    }

    /// Serves until `stop` fires; requests in flight then get a moment.
    pub(crate) async fn serve(self, sources: StatusSources, stop: CancellationToken) {
        let router = router(sources, Some(self.addr));
        http_server::serve(self.listener, router, "the status server", ServerLimits::default(), stop).await;
    }
}

/// The routes, for a server on this address, or on the node's Unix socket if there is none.
pub(super) fn router(sources: StatusSources, addr: Option<SocketAddr>) -> Router {
    // The token is asked for on routes that exist; any other path is simply not found.
    let admin = Router::new()
        .route("/rescan", post(admin::rescan))
        .route("/rollback/{name}", post(admin::rollback))
        .route("/plugins/{name}/close-breaker", post(admin::close_breaker))
        .route("/drain", post(admin::drain))
        .route("/pause", post(admin::pause))
        .route("/resume", post(admin::resume))
        .route("/log", post(admin::log))
        .route("/reload", post(admin::reload))
        .route_layer(middleware::from_fn_with_state(sources.clone(), admin::check));
    // The guard is added last, which makes it the outermost layer: it holds for unknown paths too.
    let read = Router::new()
        .route("/", get(page::answer))
        .route("/api/events", get(events::answer))
        .route("/api/log", get(log::answer))
        .route("/api/node", get(node::answer))
        .route("/api/status", get(overview::answer))
        .route("/api/plugins", get(plugins))
        .route("/api/tasks", get(tasks::all))
        .route("/api/tasks/{id}", get(tasks::one))
        .route("/api/tasks/{id}/log", get(tasks::log))
        .route_layer(middleware::from_fn_with_state(sources.clone(), access::check));
    let guard = guard::Guard::new(addr, sources.clone());
    Router::new()
        .merge(read)
        .route("/health", get(async || Json(json!({"status": "ok"}))))
        .route("/ready", get(ready::answer))
        .route("/metrics", get(metrics::answer))
        .nest("/api/admin", admin)
        .fallback(async || error(StatusCode::NOT_FOUND, "there is no such route"))
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .with_state(sources)
}

async fn plugins(State(sources): State<StatusSources>) -> Json<Value> {
    Json(json!({"plugins": sources.registry.view()}))
}
