//! `GET /api/node`: which node answers at this address, so that a command never speaks to another one, and how it keeps
//! runners apart.

use axum::Json;
use axum::extract::State;
use posemesh_plugin_host::sandbox::SandboxView;
use serde::Serialize;

use super::identity::NodeIdentity;
use super::sources::StatusSources;

/// What is told.
#[derive(Serialize)]
pub(super) struct NodeView {
    #[serde(flatten)]
    identity: NodeIdentity,
    sandbox: SandboxView,
}

pub(super) async fn answer(State(sources): State<StatusSources>) -> Json<NodeView> {
    let sandbox = sources.registry.sandbox();
    Json(NodeView { identity: sources.identity, sandbox })
}
