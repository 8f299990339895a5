//! `GET /api/status`: everything of importance at this moment, for the page, for `posemesh-node status` and for scripts.

mod capacity;
mod servers;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use posemesh_net::meter;
use posemesh_plugin_host::registry::RunnerView;
use posemesh_plugin_host::sandbox::SandboxView;
use posemesh_runner_api::failure::Blame;
use serde::Serialize;
use time::format_description::well_known::Rfc3339;

use super::identity::NodeIdentity;
use super::sources::StatusSources;
use super::tasks::{ShownTask, shown};
use crate::archive::HistoryView;
use crate::records::{FailuresView, MinuteView};
use crate::telemetry;
use capacity::Capacity;
use servers::{DdsView, DmsView, ServerView};

/// How many tasks that have ended are shown.
const ENDED: usize = 32;
/// How many are shown at most that are worked on; a node can have thousands of slots.
const RUNNING: usize = 256;

/// Everything of importance at one moment.
#[derive(Serialize)]
pub(super) struct Overview {
    /// One word: `ready`, `not_ready`, `paused`, `draining` or `stopping`.
    state: &'static str,
    /// Everything that is missing, in words.
    missing: Vec<String>,
    /// What is not as it was asked for.
    warnings: Vec<String>,
    #[serde(flatten)]
    identity: NodeIdentity,
    who: String,
    host: String,
    started_at: Option<String>,
    uptime_secs: u64,
    settings: Vec<[String; 3]>,
    dds: DdsView,
    dms: DmsView,
    servers: Vec<ServerView>,
    capacity: Capacity,
    /// Newest first; those that are worked on, and the last that ended.
    tasks: Vec<ShownTask>,
    /// How many more are worked on: the newest ones.
    tasks_left_out: usize,
    totals: Totals,
    /// Failed tasks since the start, by whose fault it was.
    blame: BTreeMap<&'static str, u64>,
    /// The minutes of the last hour in which a lease ended, oldest first.
    hour: Vec<MinuteView>,
    /// Failed tasks of the last hour, by the kind of the failure and whose fault it was; the most first.
    hour_failures: Vec<FailuresView>,
    plugins: Vec<RunnerView>,
    sandbox: SandboxView,
    log: LogView,
    history: HistoryView,
}

#[derive(Serialize)]
struct Totals {
    leased: u64,
    completed: u64,
    failed: u64,
    cancelled: u64,
    lost: u64,
    bytes_in: u64,
    bytes_out: u64,
}

#[derive(Serialize)]
struct LogView {
    filter: Option<String>,
    dropped_lines: u64,
}

pub(super) async fn answer(State(sources): State<StatusSources>) -> Json<Overview> {
    Json(Overview::of(&sources).await)
}

impl Overview {
    /// As it is now.
    pub(super) async fn of(sources: &StatusSources) -> Self {
        let StatusSources { about, readiness, records, .. } = sources;
        let missing = readiness.missing();
        let totals = records.totals();
        let recent = records.recent(RUNNING, ENDED);
        let capacity = Capacity::of(sources).await;
        Self {
            state: state(sources, &missing),
            missing,
            warnings: readiness.warnings(),
            identity: sources.identity.clone(),
            who: about.who.clone(),
            host: about.host.clone(),
            started_at: about.started_at.format(&Rfc3339).ok(),
            uptime_secs: about.started.elapsed().as_secs(),
            settings: (sources.settings)(),
            dds: DdsView::of(sources),
            dms: DmsView::of(sources),
            servers: meter::servers().into_iter().map(ServerView::of).collect(),
            capacity,
            tasks: recent.records.into_iter().map(shown).collect(),
            tasks_left_out: recent.left_out,
            blame: Blame::ALL.map(|blame| (blame.as_str(), records.measures().failed_by(blame))).into(),
            totals: Totals {
                leased: totals.leased,
                completed: totals.completed,
                failed: totals.failed,
                cancelled: totals.cancelled,
                lost: totals.lost,
                bytes_in: totals.bytes_in,
                bytes_out: totals.bytes_out,
            },
            hour: records.history(),
            hour_failures: records.hour_failures(),
            plugins: sources.registry.view(),
            sandbox: sources.registry.sandbox(),
            log: LogView { filter: telemetry::filter(), dropped_lines: telemetry::dropped_lines() },
            history: sources.archive.view(),
        }
    }
}

fn state(sources: &StatusSources, missing: &[String]) -> &'static str {
    if sources.shutdown.stopping().is_cancelled() {
        "stopping"
    } else if sources.shutdown.paused().is_some() {
        "paused"
    } else if sources.shutdown.draining().is_some() {
        "draining"
    } else if !sources.readiness.board.list().is_empty() {
        "paused"
    } else if missing.is_empty() {
        "ready"
    } else {
        "not_ready"
    }
}
