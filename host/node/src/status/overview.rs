//! `GET /api/status`: everything of importance at this moment, for the page, for `posemesh-node status` and for scripts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use posemesh_net::meter::{self, HostView, Peer};
use posemesh_plugin_host::registry::RunnerView;
use posemesh_plugin_host::sandbox::SandboxView;
use posemesh_runner_api::failure::Blame;
use serde::Serialize;
use time::format_description::well_known::Rfc3339;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::about::Link;
use super::identity::NodeIdentity;
use super::sources::StatusSources;
use super::tasks::{ShownTask, shown};
use crate::admission::{available_memory, free_descriptors, free_space};
use crate::archive::HistoryView;
use crate::records::MinuteView;
use crate::registration::RegistrationStatus;
use crate::telemetry;

/// How many tasks are shown, running ones included.
const TASKS: usize = 32;
/// How long the machine has to say what is free.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);
/// Free bytes and inodes below which a folder is marked.
const FEW_BYTES: u64 = 1 << 30;
const FEW_INODES: u64 = 10_000;

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
    totals: Totals,
    /// Failed tasks since the start, by whose fault it was.
    blame: BTreeMap<&'static str, u64>,
    /// The minutes of the last hour in which a lease ended, oldest first.
    hour: Vec<MinuteView>,
    plugins: Vec<RunnerView>,
    sandbox: SandboxView,
    log: LogView,
    history: HistoryView,
}

#[derive(Serialize)]
struct DdsView {
    #[serde(flatten)]
    link: Link,
    registration: String,
    registered: bool,
    /// How the last registration failed, if it did.
    error: Option<String>,
    token_valid_secs: Option<u64>,
    token_renewals: u64,
    /// How the last login failed, if it did.
    token_error: Option<String>,
}

#[derive(Serialize)]
struct DmsView {
    #[serde(flatten)]
    link: Link,
    /// Seconds since a request for work was answered.
    answered_secs_ago: Option<u64>,
    /// How the last request for work failed, if it did.
    error: Option<String>,
}

/// A server that was asked lately.
#[derive(Serialize)]
struct ServerView {
    /// `dds`, `dms` or `domain_server`.
    kind: &'static str,
    /// Host and port, and the proxy in between.
    through: String,
    /// Requests of the last five minutes, and those that failed.
    requests: u64,
    failed: u64,
    succeeded_secs_ago: Option<u64>,
    failed_secs_ago: Option<u64>,
    /// How the last one that failed did.
    error: Option<String>,
    /// By how many seconds its clock is ahead; of domain servers that of the last one that answered.
    clock_ahead_secs: Option<f64>,
}

impl ServerView {
    fn of(view: HostView) -> Self {
        let peer = Peer::ALL.into_iter().find(|peer| peer.as_str() == view.peer);
        let (failed_secs_ago, error) = view.failed_ago.map(|(ago, error)| (ago.as_secs(), error)).unzip();
        Self {
            kind: view.peer,
            through: view.host,
            requests: view.requests,
            failed: view.failed,
            succeeded_secs_ago: view.succeeded_ago.map(|ago| ago.as_secs()),
            failed_secs_ago,
            error,
            clock_ahead_secs: peer.and_then(|peer| meter::view(peer).skew_seconds),
        }
    }
}

#[derive(Serialize)]
struct Capacity {
    slots: u64,
    running: u64,
    memory_budget: u64,
    memory_available: Option<u64>,
    descriptors_free: Option<u64>,
    folders: Vec<FolderView>,
}

#[derive(Serialize)]
struct FolderView {
    variable: &'static str,
    path: String,
    free_bytes: Option<u64>,
    free_inodes: Option<u64>,
    /// Whether little is free.
    low: bool,
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
        let (memory_available, descriptors_free, folders) =
            look(about.work_dir.clone(), about.cache_dir.clone()).await.unwrap_or_default();
        let registration = *readiness.registration.borrow();
        let token = (readiness.token)();
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
            dds: DdsView {
                link: about.dds.clone(),
                registration: registration.to_string(),
                registered: registration == RegistrationStatus::Registered,
                error: (readiness.registration_error)(),
                token_valid_secs: token.valid_for.map(|left| left.as_secs()),
                token_renewals: token.renewals,
                token_error: token.last_error.map(|error| error.to_string()),
            },
            dms: DmsView {
                link: about.dms.clone(),
                answered_secs_ago: records.since_answer().map(|silence| silence.as_secs()),
                error: records.poll_error(),
            },
            servers: meter::servers().into_iter().map(ServerView::of).collect(),
            capacity: Capacity {
                slots: readiness.slots(),
                running: totals.running(),
                memory_budget: sources.memory_budget.now().bytes(),
                memory_available,
                descriptors_free,
                folders,
            },
            tasks: records.page(None, TASKS).records.into_iter().map(shown).collect(),
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

type Look = (Option<u64>, Option<u64>, Vec<FolderView>);

/// What the machine has left; none if it does not say soon.
async fn look(work: PathBuf, cache: PathBuf) -> Option<Look> {
    let looked = spawn_blocking(move || {
        let folders = vec![folder("WORK_DIR", &work), folder("CACHE_DIR", &cache)];
        (Some(available_memory()), free_descriptors(), folders)
    });
    timeout(LOOK_TIMEOUT, looked).await.ok()?.ok()
}

fn folder(variable: &'static str, path: &Path) -> FolderView {
    let free = free_space(path).ok();
    let (bytes, inodes) = (free.map(|free| free.bytes), free.and_then(|free| free.inodes));
    let low =
        bytes.is_some_and(|bytes| bytes < FEW_BYTES) || inodes.is_some_and(|inodes| inodes < FEW_INODES);
    FolderView { variable, path: path.display().to_string(), free_bytes: bytes, free_inodes: inodes, low }
}
