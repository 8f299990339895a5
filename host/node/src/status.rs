//! The status server: what the node tells about itself on `STATUS_ADDR`, and the admin calls.
//!
//! | route | what it answers |
//! | --- | --- |
//! | `GET /health` | 200 as long as the process lives |
//! | `GET /ready` | 200, or 503 with what is missing ([`ready`]) |
//! | `GET /metrics` | counts and gauges in the text format of OpenMetrics ([`metrics`]) |
//! | `GET /api/plugins` | runners and their generations ([`posemesh_plugin_host::registry::RunnerView`]) |
//! | `GET /api/tasks`, `/api/tasks/{id}`, `/api/tasks/{id}/log` | the last tasks ([`tasks`]) |
//! | `POST /api/admin/...` | rescan, rollback, drain ([`admin`]) |
//!
//! Answers but `/metrics` and logs are JSON; errors are `{"error": "..."}`. On a loopback address only
//! requests that name one are answered, so that no web page can ask in a user's browser.

pub mod admin;
mod guard;
pub mod metrics;
pub mod ready;
pub mod tasks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::ready::Readiness;
use crate::config::StatusConfig;
use crate::engine::records::TaskRecords;
use crate::shutdown::Shutdown;
use posemesh_net::secret::Secret;
use posemesh_plugin_host::registry::Registry;

/// How long requests that go on get when the node ends.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// What the server looks at.
#[derive(Clone)]
pub struct Watched {
    /// The runners.
    pub registry: Arc<Registry>,
    /// The tasks.
    pub records: TaskRecords,
    /// The rest that readiness needs.
    pub readiness: Readiness,
    /// Drained by an admin call.
    pub shutdown: Shutdown,
    /// What admin calls must carry.
    pub admin_token: Option<Secret>,
}

/// The server, bound to its address and not yet serving.
#[derive(Debug)]
pub struct StatusServer {
    listener: TcpListener,
    addr: SocketAddr,
}

/// The address can't be had.
#[derive(Debug, thiserror::Error)]
#[error("listening on STATUS_ADDR={addr}: {error}; choose a free address of this machine, or `off`")]
pub struct StatusError {
    addr: SocketAddr,
    error: std::io::Error,
}

impl StatusServer {
    /// Binds the address. None if it is off, or if it is the usual one and somebody else has it.
    ///
    /// # Errors
    /// When an address that was chosen can't be had.
    pub async fn bind(config: &StatusConfig) -> Result<Option<Self>, StatusError> {
        let Some(addr) = config.addr else { return Ok(None) };
        let bound = TcpListener::bind(addr).await.and_then(|listener| {
            let addr = listener.local_addr()?;
            Ok(Self { listener, addr })
        });
        match bound {
            Ok(server) => {
                tracing::info!(addr = %server.addr, "the status server listens");
                Ok(Some(server))
            }
            Err(error) if config.chosen => Err(StatusError { addr, error }),
            Err(error) => {
                tracing::warn!(%addr, %error, "there is no status server; STATUS_ADDR chooses another address");
                Ok(None)
            }
        }
    }

    /// Serves until `stop` fires; requests that go on then get a moment.
    pub async fn serve(self, watched: Watched, stop: CancellationToken) {
        let router = router(watched, self.addr);
        let stopping = stop.clone();
        let serving = axum::serve(self.listener, router)
            .with_graceful_shutdown(async move { stopping.cancelled().await })
            .into_future();
        let limit = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_REQUESTS).await;
        };
        tokio::select! {
            served = serving => if let Err(error) = served {
                tracing::error!(%error, "the status server has ended");
            },
            () = limit => tracing::debug!("requests to the status server are cut off"),
        }
    }
}

fn router(watched: Watched, addr: SocketAddr) -> Router {
    let admin = Router::new()
        .route("/rescan", post(admin::rescan))
        .route("/rollback/{name}", post(admin::rollback))
        .route("/drain", post(admin::drain))
        .route_layer(middleware::from_fn_with_state(watched.clone(), admin::check));
    Router::new()
        .route("/health", get(async || Json(json!({"status": "ok"}))))
        .route("/ready", get(ready::answer))
        .route("/metrics", get(metrics::answer))
        .route("/api/plugins", get(plugins))
        .route("/api/tasks", get(tasks::all))
        .route("/api/tasks/{id}", get(tasks::one))
        .route("/api/tasks/{id}/log", get(tasks::log))
        .nest("/api/admin", admin)
        .fallback(async || error(StatusCode::NOT_FOUND, "there is no such route"))
        .layer(middleware::from_fn_with_state(guard::Guard::new(addr), guard::check))
        .with_state(watched)
}

async fn plugins(State(watched): State<Watched>) -> Json<Value> {
    Json(json!({"plugins": watched.registry.view()}))
}

/// An error as all routes tell it.
fn error(status: StatusCode, text: impl Into<String>) -> Response {
    (status, Json(json!({"error": text.into()}))).into_response()
}
