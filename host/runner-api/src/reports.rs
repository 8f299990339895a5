//! What a runner reports while it works, and the signal in the other direction: whether it should stop.
//!
//! The runner's side never waits: a full queue drops its oldest events. The heartbeat's side takes what
//! is there when it wants to send ([`Reports::snapshot`]) and removes it once the server has accepted it
//! ([`Reports::delivered`]), so that a failed heartbeat loses nothing.
//!
//! What is reported is kept and sent as the runner wrote it: a parsed value of it takes up to a hundred times the memory,
//! and is another text.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::json_text::JsonText;

/// How many events may wait for a heartbeat (protocol 4.3). Progress needs no limit: the latest replaces
/// the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportLimits {
    /// Undelivered events; above this the oldest are dropped.
    pub pending_events: usize,
    /// Bytes of JSON in the undelivered events; above this the oldest are dropped.
    pub pending_event_bytes: usize,
}

impl Default for ReportLimits {
    fn default() -> Self {
        Self { pending_events: 256, pending_event_bytes: 256 << 10 }
    }
}

/// Why a runner is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// DMS cancelled the task (protocol 5.1).
    Cancelled,
    /// The lease is lost: nothing that the runner still does can be used (protocol 5.2).
    LeaseLost,
    /// The node shuts down (protocol 5.3).
    Shutdown,
}

/// What one heartbeat carries (protocol 3.4).
#[derive(Debug, Clone, PartialEq)]
pub struct ReportSnapshot {
    /// The latest progress; `{}` before the first.
    pub progress: JsonText,
    /// Events that were not delivered yet, oldest first.
    pub events: Vec<JsonText>,
    /// Which state of the reports this is, so that [`Reports::delivered`] leaves newer ones alone.
    version: u64,
    /// The number of the first of `events`.
    first_event: u64,
}

/// The reports of one task, shared by its runner and its heartbeats. Cloning shares.
///
/// ```
/// use posemesh_runner_api::json_text::JsonText;
/// use posemesh_runner_api::reports::{ReportLimits, Reports, StopReason};
/// use serde_json::json;
///
/// let reports = Reports::new(ReportLimits::default());
/// reports.progress(json!({"percent": 50}));
/// reports.event(json!("half"));
///
/// let sent = reports.snapshot();
/// assert_eq!(sent.events, [JsonText::from(json!("half"))]);
/// reports.delivered(&sent);
/// assert!(!reports.is_pending());
///
/// reports.stop(StopReason::Cancelled);
/// assert!(reports.stop_token().is_cancelled());
/// ```
#[derive(Debug, Clone)]
pub struct Reports {
    shared: Arc<SharedReports>,
}

#[derive(Debug)]
struct SharedReports {
    limits: ReportLimits,
    state: Mutex<ReportState>,
    changed: Notify,
    stop: CancellationToken,
}

#[derive(Debug)]
struct ReportState {
    progress: JsonText,
    /// Counts every progress and event.
    version: u64,
    /// The highest version that was delivered.
    delivered: u64,
    /// Undelivered events.
    events: VecDeque<JsonText>,
    /// The bytes of their texts.
    event_bytes: usize,
    /// The number of the event at the front of the queue.
    first_event: u64,
    /// Events that were dropped because the queue was full or they came too fast.
    dropped: u64,
    stop_reason: Option<StopReason>,
    usage: Vec<LimitUse>,
}

/// How much of a limit a run has used, for the task's record on the status server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitUse {
    /// The limit's name as in `NAME.toml`.
    pub limit: &'static str,
    /// Used so far, in the limit's unit.
    pub used: u64,
    /// The limit's value, in its unit.
    pub of: u64,
}

impl Reports {
    /// Empty reports of a task that is not to be stopped.
    pub fn new(limits: ReportLimits) -> Self {
        let state = ReportState {
            progress: JsonText::empty_object(),
            version: 0,
            delivered: 0,
            events: VecDeque::new(),
            event_bytes: 0,
            first_event: 0,
            dropped: 0,
            stop_reason: None,
            usage: Vec::new(),
        };
        let shared = SharedReports {
            limits,
            state: Mutex::new(state),
            changed: Notify::new(),
            stop: CancellationToken::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Replaces the progress, delivered or not.
    pub fn progress(&self, progress: impl Into<JsonText>) {
        let progress = progress.into();
        let mut state = self.state();
        state.progress = progress;
        state.version += 1;
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Appends an event. When the queue is full the oldest events are dropped and counted.
    pub fn event(&self, event: impl Into<JsonText>) {
        let event = event.into();
        let mut state = self.state();
        state.event_bytes += event.as_str().len();
        state.events.push_back(event);
        state.version += 1;
        while state.events.len() > self.shared.limits.pending_events
            || state.event_bytes > self.shared.limits.pending_event_bytes
        {
            let Some(event) = state.events.pop_front() else { break };
            state.event_bytes -= event.as_str().len();
            state.first_event += 1;
            state.dropped += 1;
        }
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Counts an event that came too fast to be taken.
    pub fn count_dropped_event(&self) {
        self.count_dropped_events(1);
    }

    /// Counts events that came too fast to be taken.
    pub fn count_dropped_events(&self, events: u64) {
        let mut state = self.state();
        state.dropped = state.dropped.saturating_add(events);
    }

    /// The latest progress.
    pub fn latest_progress(&self) -> JsonText {
        self.state().progress.clone()
    }

    /// What a heartbeat should carry now.
    pub fn snapshot(&self) -> ReportSnapshot {
        let state = self.state();
        ReportSnapshot {
            progress: state.progress.clone(),
            events: state.events.iter().cloned().collect(),
            version: state.version,
            first_event: state.first_event,
        }
    }

    /// Removes what the server has accepted; what was reported after the snapshot stays.
    pub fn delivered(&self, snapshot: &ReportSnapshot) {
        let mut state = self.state();
        state.delivered = state.delivered.max(snapshot.version);
        let end = snapshot.first_event + snapshot.events.len() as u64;
        while state.first_event < end {
            let Some(event) = state.events.pop_front() else { break };
            state.event_bytes -= event.as_str().len();
            state.first_event += 1;
        }
    }

    /// Whether there is progress or an event that no heartbeat has delivered.
    pub fn is_pending(&self) -> bool {
        let state = self.state();
        state.version > state.delivered
    }

    /// Whether the events that wait fill half of the queue: if no heartbeat takes them soon, some are dropped.
    pub fn is_half_full(&self) -> bool {
        let (state, limits) = (self.state(), self.shared.limits);
        let full = |used: usize, limit: usize| used > 0 && used >= limit / 2;
        full(state.events.len(), limits.pending_events) || full(state.event_bytes, limits.pending_event_bytes)
    }

    /// How many events were dropped because the queue was full or they came too fast.
    pub fn dropped_events(&self) -> u64 {
        self.state().dropped
    }

    /// Replaces what is known of the use of limits. It is for the node's own status, not for the job
    /// server, so it causes no heartbeat.
    pub fn set_usage(&self, usage: Vec<LimitUse>) {
        self.state().usage = usage;
    }

    /// What the run has used of its limits; empty until its host has measured.
    pub fn usage(&self) -> Vec<LimitUse> {
        self.state().usage.clone()
    }

    /// Waits for the next progress or event; one that came since the last call counts.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Asks the runner to stop. The first reason stays: a shutdown that follows a cancellation changes
    /// nothing.
    pub fn stop(&self, reason: StopReason) {
        self.state().stop_reason.get_or_insert(reason);
        self.shared.stop.cancel();
    }

    /// Why the runner should stop; none while it may go on.
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.state().stop_reason
    }

    /// Fires when the runner should stop.
    pub fn stop_token(&self) -> &CancellationToken {
        &self.shared.stop
    }

    fn state(&self) -> MutexGuard<'_, ReportState> {
        // Nothing panics while the lock is held; if something did, the state is still whole.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(values: &[i32]) -> Vec<JsonText> {
        values.iter().map(|value| json!(value).into()).collect()
    }

    #[test]
    fn events_that_come_while_a_heartbeat_is_in_flight_stay_pending() {
        let reports = Reports::new(ReportLimits::default());
        reports.event(json!(1));
        let sent = reports.snapshot();
        reports.event(json!(2));
        reports.delivered(&sent);
        assert!(reports.is_pending());
        assert_eq!(reports.snapshot().events, texts(&[2]));
        let sent = reports.snapshot();
        reports.delivered(&sent);
        assert!(!reports.is_pending());
    }

    #[test]
    fn a_full_queue_drops_the_oldest_and_delivery_does_not_remove_newer_ones() {
        let reports = Reports::new(ReportLimits { pending_events: 2, pending_event_bytes: 100 });
        reports.event(json!(1));
        reports.event(json!(2));
        let sent = reports.snapshot();
        reports.event(json!(3));
        assert_eq!(reports.dropped_events(), 1);
        reports.delivered(&sent);
        assert_eq!(reports.snapshot().events, texts(&[3]), "2 was delivered, 3 was not");
    }

    #[test]
    fn the_first_stop_reason_stays() {
        let reports = Reports::new(ReportLimits::default());
        assert_eq!(reports.stop_reason(), None);
        reports.stop(StopReason::Cancelled);
        reports.stop(StopReason::Shutdown);
        assert_eq!(reports.stop_reason(), Some(StopReason::Cancelled));
        assert!(reports.stop_token().is_cancelled());
    }
}
