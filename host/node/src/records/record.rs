//! What is remembered of one task: little, since hundreds are remembered, and what runners report can be large.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use posemesh_domain_client::{Traffic, TrafficView};
use posemesh_runner_api::json_text::JsonText;
use posemesh_runner_api::reports::{LimitUse, Reports};
use posemesh_text::{one_line, shorten};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::dms::Lease;
use crate::heartbeat::LeaseTimes;
use crate::records::outcome::LeaseOutcome;

/// The longest progress that is kept of a task that has ended, and that a list shows, in bytes.
pub(crate) const KEPT_PROGRESS: usize = 4 << 10;
/// How much of a longer one is kept, in bytes.
const KEPT_START: usize = 200;
/// The longest reason that is kept, in bytes: as much as a final report has room for.
const KEPT_REASON: usize = 2048;
/// The longest name that is kept, of a capability or a runner, in bytes.
const KEPT_NAME: usize = 512;

/// How far the work on a lease has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordState {
    /// Leased; the runner is not started yet.
    Starting,
    /// The runner works.
    Running,
    /// The runner has ended; the final report is being delivered.
    Finishing,
    /// The lease has ended.
    Ended(LeaseOutcome),
}

impl RecordState {
    /// One word: `starting`, `running`, `finishing` or that of the [`LeaseOutcome`].
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Finishing => "finishing",
            Self::Ended(outcome) => outcome.word(),
        }
    }
}

/// What is remembered of one leased task; shown by `GET /api/tasks`.
#[derive(Debug, Clone)]
pub(crate) struct TaskRecord {
    /// Counts the leases of this process; by it pages are asked for.
    pub(crate) number: u64,
    pub(crate) task_id: Uuid,
    pub(crate) job_id: Option<Uuid>,
    pub(crate) domain_id: Option<Uuid>,
    pub(crate) capability: String,
    /// Name, version and generation of the runner, once it is started.
    pub(crate) runner: Option<String>,
    /// SHA-256 of the runner's file, in hex.
    pub(crate) sha256: Option<String>,
    pub(crate) state: RecordState,
    /// The latest progress that the runner reported; of a task that has ended only if it is no longer than
    /// [`KEPT_PROGRESS`].
    pub(crate) progress: JsonText,
    pub(crate) leased_at: OffsetDateTime,
    /// How long the lease took, or has taken so far.
    pub(crate) took: Duration,
    /// When its lease ends and the next heartbeat is due, while its runner works.
    pub(crate) times: Option<LeaseTimes>,
    /// How much the run used of its limits.
    pub(crate) usage: Vec<LimitUse>,
    /// Events that were dropped because they were too many or came too fast.
    pub(crate) dropped_events: u64,
    /// What was moved from and to the domain server.
    pub(crate) traffic: TrafficView,
    /// The file for what the runner prints; it exists once the runner has printed something.
    pub(crate) log_file: Option<PathBuf>,
}

impl TaskRecord {
    /// The record of a lease that was just granted.
    pub(super) fn new(number: u64, lease: &Lease, log_file: Option<PathBuf>) -> Self {
        Self {
            number,
            task_id: lease.task.id,
            job_id: lease.task.job_id,
            domain_id: lease.task.domain_id,
            // As long as the lease had it.
            capability: one_line(&lease.task.capability, KEPT_NAME),
            runner: None,
            sha256: None,
            state: RecordState::Starting,
            progress: JsonText::default(),
            leased_at: OffsetDateTime::now_utc(),
            took: Duration::ZERO,
            times: None,
            usage: Vec::new(),
            dropped_events: 0,
            traffic: TrafficView::default(),
            log_file,
        }
    }

    /// Takes over what the run has reported and moved so far.
    pub(super) fn update(&mut self, (reports, traffic): &(Reports, Arc<Traffic>)) {
        self.progress = reports.latest_progress();
        self.usage = reports.usage();
        self.dropped_events = reports.dropped_events();
        self.traffic = traffic.view();
    }

    /// Notes that the runner of this label works; `sha256` is that of its file.
    pub(super) fn run_by(&mut self, runner: &str, sha256: Option<String>) {
        self.runner = Some(one_line(runner, KEPT_NAME));
        self.sha256 = sha256;
        self.state = RecordState::Running;
    }

    /// Closes the record, and lets go what is too large to be remembered.
    pub(super) fn end(&mut self, outcome: LeaseOutcome) {
        self.progress = self.short_progress();
        self.state = RecordState::Ended(outcome.shortened(KEPT_REASON));
    }

    /// The progress, or the start of one that is longer than [`KEPT_PROGRESS`].
    pub(crate) fn short_progress(&self) -> JsonText {
        let text = self.progress.as_str();
        if text.len() <= KEPT_PROGRESS {
            return self.progress.clone();
        }
        // JSON can't be cut like text: it becomes a text in JSON that says so.
        json!({ "too_large_to_keep": { "bytes": text.len(), "start": shorten(text, KEPT_START) } }).into()
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, RecordState::Ended(_))
    }
}
