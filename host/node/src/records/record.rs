//! What is remembered of one task.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use posemesh_domain_client::{Traffic, TrafficView};
use posemesh_runner_api::json_text::JsonText;
use posemesh_runner_api::reports::{LimitUse, Reports};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::dms::Lease;
use crate::records::outcome::LeaseOutcome;

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
    pub(crate) task_id: Uuid,
    pub(crate) job_id: Option<Uuid>,
    pub(crate) domain_id: Option<Uuid>,
    pub(crate) capability: String,
    /// Name, version and generation of the runner, once it is started.
    pub(crate) runner: Option<String>,
    pub(crate) state: RecordState,
    /// The latest progress that the runner reported.
    pub(crate) progress: JsonText,
    pub(crate) leased_at: OffsetDateTime,
    /// How long the lease took, or has taken so far.
    pub(crate) took: Duration,
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
    pub(super) fn new(lease: &Lease, log_file: Option<PathBuf>) -> Self {
        Self {
            task_id: lease.task.id,
            job_id: lease.task.job_id,
            domain_id: lease.task.domain_id,
            capability: lease.task.capability.clone(),
            runner: None,
            state: RecordState::Starting,
            progress: JsonText::default(),
            leased_at: OffsetDateTime::now_utc(),
            took: Duration::ZERO,
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

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, RecordState::Ended(_))
    }
}
