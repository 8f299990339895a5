//! `GET /api/node`: which node answers at this address, so that a command never speaks to another one.

use axum::Json;
use axum::extract::State;

use super::identity::NodeIdentity;
use super::sources::StatusSources;

pub(super) async fn answer(State(sources): State<StatusSources>) -> Json<NodeIdentity> {
    Json(sources.identity)
}
