//! What is remembered of one task.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::lease::Ending;
use posemesh_domain_client::{Traffic, TrafficView};
use posemesh_runner_api::reports::{LimitUse, Reports};

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// Leased; its runner is not started yet.
    Starting,
    /// Its runner works.
    Running,
    /// Its runner has ended; the server is being told.
    Finishing,
    /// Over.
    Ended(Ending),
}

impl TaskState {
    /// One word: `starting`, `running`, `finishing` or that of the [`Ending`].
    pub fn word(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Finishing => "finishing",
            Self::Ended(ending) => ending.word(),
        }
    }
}

/// What is remembered of a task.
#[derive(Debug, Clone)]
pub struct TaskRecord {
    /// Its id.
    pub task_id: Uuid,
    /// Its job.
    pub job_id: Option<Uuid>,
    /// Its domain.
    pub domain_id: Option<Uuid>,
    /// What it wants.
    pub capability: String,
    /// Which runner works on it, once one does.
    pub runner: Option<String>,
    /// Where it stands.
    pub state: TaskState,
    /// The latest progress.
    pub progress: Value,
    /// When it was leased.
    pub leased_at: OffsetDateTime,
    /// How long it took, or has taken so far.
    pub took: Duration,
    /// What it used of its limits.
    pub usage: Vec<LimitUse>,
    /// Events that were dropped: too many or too fast.
    pub dropped_events: u64,
    /// What it moved to and from its domain.
    pub traffic: TrafficView,
    /// Where what its runner printed is kept, if it printed anything.
    pub log_file: Option<PathBuf>,
}

impl TaskRecord {
    pub(super) fn read(&mut self, (reports, traffic): &(Reports, Arc<Traffic>)) {
        self.progress = reports.latest_progress();
        self.usage = reports.usage();
        self.dropped_events = reports.dropped_events();
        self.traffic = traffic.view();
    }
}
