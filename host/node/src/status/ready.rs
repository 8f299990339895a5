//! `GET /ready`: whether the node can take work now, and if not, everything that is missing.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::watch;

use super::Watched;
use crate::auth::token::TokenStatus;
use crate::registration::RegistrationStatus;
use posemesh_runner_api::runner::Runners as _;

/// What readiness is judged by, beside runners, tasks and shutdown.
#[derive(Clone)]
pub struct Readiness {
    /// Where the node stands with DDS.
    pub registration: watch::Receiver<RegistrationStatus>,
    /// What is known of the machine token.
    pub token: Arc<dyn Fn() -> TokenStatus + Send + Sync>,
    /// The server must have answered a request for work within that time, while there are free workers.
    pub longest_silence: Duration,
    /// How many tasks the node works on at once.
    pub max_concurrency: u64,
}

/// Everything that is missing, in words; nothing when the node is ready.
pub fn missing(watched: &Watched) -> Vec<String> {
    let mut missing = Vec::new();
    let readiness = &watched.readiness;
    if watched.shutdown.draining().is_cancelled() {
        missing.push("it is draining: it takes no more work".to_owned());
    }
    let registration = *readiness.registration.borrow();
    if registration != RegistrationStatus::Registered {
        missing.push(format!("it is not registered with DDS ({registration})"));
    }
    let token = (readiness.token)();
    if token.valid_for.is_none() {
        let why = token.last_error.map(|error| format!(": {error}")).unwrap_or_default();
        missing.push(format!("it has no valid token{why}"));
    }
    if watched.registry.capabilities().borrow().is_empty() {
        missing.push("no runner is live; PLUGINS_DIR is where they are taken from".to_owned());
    }
    let totals = watched.records.totals();
    let free = totals.running() < readiness.max_concurrency;
    let silence = watched.records.since_answer();
    if free && silence.is_none_or(|silence| silence > readiness.longest_silence) {
        missing.push(match silence {
            None => "DMS has not answered a request for work yet".to_owned(),
            Some(silence) => {
                format!("DMS last answered a request for work {} s ago", silence.as_secs())
            }
        });
    }
    if totals.stuck_runners > 0 {
        missing.push(format!(
            "{} runners could not be ended and keep a thread each; the node needs a restart",
            totals.stuck_runners
        ));
    }
    missing
}

pub(super) async fn answer(State(watched): State<Watched>) -> Response {
    let missing = missing(&watched);
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": missing.is_empty(), "missing": missing}))).into_response()
}
