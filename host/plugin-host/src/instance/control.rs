//! The line between a guest and its node while a task runs: reports, log lines, the request to stop.

use std::time::{Duration, Instant};

use posemesh_runner_api::json_text::JsonText;
use posemesh_runner_api::reports::Reports;

use crate::instance::memory::MemoryLimiter;
use crate::instance::outputs::budget::OutputBudget;
use crate::instance::rate::TokenBucket;
use crate::instance::runner_log::RunnerLog;
use crate::instance::scratch::Scratch;
use crate::manifest::limits::Limits;

/// Where a task's reports go, with their budgets and the clock of the run.
pub(crate) struct ControlContext {
    pub(crate) reports: Reports,
    pub(crate) log: RunnerLog,
    report_bytes: u64,
    event_rate: TokenBucket,
    started: Instant,
    deadline: Duration,
}

/// What the host functions of `control` borrow of an instance.
pub(crate) struct ControlView<'a> {
    pub(crate) context: &'a mut ControlContext,
    pub(crate) memory: &'a MemoryLimiter,
    pub(crate) scratch: &'a Scratch,
    pub(crate) outputs: &'a OutputBudget,
}

/// Why a report is not taken.
pub(crate) enum ReportRefusal {
    /// The JSON text has more bytes than this.
    TooLarge(u64),
    /// The text is not JSON; says where.
    InvalidJson(String),
    /// Too many events came too fast; this one was dropped and counted.
    Dropped,
}

impl ControlContext {
    pub(crate) fn new(reports: Reports, log: RunnerLog, limits: &Limits) -> Self {
        Self {
            reports,
            log,
            report_bytes: limits.report_bytes,
            event_rate: TokenBucket::new(limits.events_per_second),
            started: Instant::now(),
            deadline: limits.deadline(),
        }
    }

    /// Replaces the progress, given as JSON text.
    pub(crate) fn progress(&self, json: &str) -> Result<(), ReportRefusal> {
        self.reports.progress(self.parse(json)?);
        Ok(())
    }

    /// Adds an event, given as JSON text.
    pub(crate) fn event(&mut self, json: &str) -> Result<(), ReportRefusal> {
        let event = self.parse(json)?;
        // After parsing: a text that is no JSON gets its own error and costs no room among the events.
        if !self.event_rate.take() {
            self.reports.count_dropped_event();
            return Err(ReportRefusal::Dropped);
        }
        self.log.event(json);
        self.reports.event(event);
        Ok(())
    }

    /// Time since the instance was prepared.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Time until the deadline.
    pub(crate) fn time_left(&self) -> Duration {
        self.deadline.saturating_sub(self.elapsed())
    }

    fn parse(&self, json: &str) -> Result<JsonText, ReportRefusal> {
        if json.len() as u64 > self.report_bytes {
            return Err(ReportRefusal::TooLarge(self.report_bytes));
        }
        JsonText::parse_plain(json).map_err(|error| ReportRefusal::InvalidJson(error.to_string()))
    }
}
