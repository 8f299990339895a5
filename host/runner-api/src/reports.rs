//! What a runner reports while it works, and the line back to it: whether it should stop.
//!
//! The runner's side ([`Reports`]) never waits; the heartbeat's side takes what is there when it wants
//! to send ([`Reports::snapshot`]) and removes what was delivered ([`Reports::delivered`]).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How much may wait for a heartbeat.
#[derive(Debug, Clone, Copy)]
pub struct ReportLimits {
    /// Events that wait; the oldest go first when there are more.
    pub pending_events: usize,
    /// Bytes of JSON in those events.
    pub pending_event_bytes: usize,
}

impl Default for ReportLimits {
    fn default() -> Self {
        Self { pending_events: 256, pending_event_bytes: 256 << 10 }
    }
}

/// Why a task is being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// DMS said `cancel`.
    Cancelled,
    /// The lease is gone.
    LeaseLost,
    /// The node shuts down.
    Shutdown,
}

/// What one heartbeat carries (protocol 3.4).
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The latest progress; `{}` before the first.
    pub progress: Value,
    /// Events that were not delivered yet, oldest first.
    pub events: Vec<Value>,
    /// Marks this state; hand it to [`Reports::delivered`].
    version: u64,
    first_event: u64,
}

/// The reports of one task, shared by its runner and its heartbeats. Cloning shares.
#[derive(Debug, Clone)]
pub struct Reports {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: ReportLimits,
    state: Mutex<State>,
    changed: Notify,
    stop: CancellationToken,
}

#[derive(Debug)]
struct State {
    progress: Value,
    /// Counts every progress and event; what was last delivered is in `delivered`.
    version: u64,
    delivered: u64,
    events: VecDeque<(usize, Value)>,
    event_bytes: usize,
    /// The number of the event at the front of the queue.
    first_event: u64,
    dropped: u64,
    stop_reason: Option<StopReason>,
    usage: Vec<LimitUse>,
}

/// How much of a limit a run has used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitUse {
    /// The limit, by its one name.
    pub limit: &'static str,
    /// Used so far, in the limit's unit.
    pub used: u64,
    /// The limit.
    pub of: u64,
}

impl Reports {
    /// Empty reports of a task that is not to be stopped.
    pub fn new(limits: ReportLimits) -> Self {
        let state = State {
            progress: Value::Object(serde_json::Map::new()),
            version: 0,
            delivered: 0,
            events: VecDeque::new(),
            event_bytes: 0,
            first_event: 0,
            dropped: 0,
            stop_reason: None,
            usage: Vec::new(),
        };
        let shared = Shared {
            limits,
            state: Mutex::new(state),
            changed: Notify::new(),
            stop: CancellationToken::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Replaces the progress.
    pub fn progress(&self, progress: Value) {
        let mut state = self.state();
        state.progress = progress;
        state.version += 1;
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Appends an event whose JSON text has `bytes` bytes. When the queue is full the oldest events go
    /// and are counted.
    pub fn event(&self, event: Value, bytes: usize) {
        let mut state = self.state();
        state.events.push_back((bytes, event));
        state.event_bytes += bytes;
        state.version += 1;
        while state.events.len() > self.shared.limits.pending_events
            || state.event_bytes > self.shared.limits.pending_event_bytes
        {
            let Some((bytes, _)) = state.events.pop_front() else { break };
            state.event_bytes -= bytes;
            state.first_event += 1;
            state.dropped += 1;
        }
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Counts an event that came too fast to be taken.
    pub fn count_dropped_event(&self) {
        self.state().dropped += 1;
    }

    /// The latest progress.
    pub fn latest_progress(&self) -> Value {
        self.state().progress.clone()
    }

    /// What a heartbeat should carry now.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.state();
        Snapshot {
            progress: state.progress.clone(),
            events: state.events.iter().map(|(_, event)| event.clone()).collect(),
            version: state.version,
            first_event: state.first_event,
        }
    }

    /// Removes what a heartbeat has delivered; what came meanwhile stays.
    pub fn delivered(&self, snapshot: &Snapshot) {
        let mut state = self.state();
        state.delivered = state.delivered.max(snapshot.version);
        let end = snapshot.first_event + snapshot.events.len() as u64;
        while state.first_event < end {
            let Some((bytes, _)) = state.events.pop_front() else { break };
            state.event_bytes -= bytes;
            state.first_event += 1;
        }
    }

    /// Whether there is something that no heartbeat has delivered.
    pub fn is_pending(&self) -> bool {
        let state = self.state();
        state.version > state.delivered
    }

    /// How many events were dropped because the queue was full or they came too fast.
    pub fn dropped_events(&self) -> u64 {
        self.state().dropped
    }

    /// Replaces what is known of the limits. It is not for the server and wakes nobody.
    pub fn set_usage(&self, usage: Vec<LimitUse>) {
        self.state().usage = usage;
    }

    /// What the run has used of its limits, as far as its host has said.
    pub fn usage(&self) -> Vec<LimitUse> {
        self.state().usage.clone()
    }

    /// Waits for the next progress or event; one that came since the last call counts.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Tells the runner to stop. The first reason stays.
    pub fn stop(&self, reason: StopReason) {
        self.state().stop_reason.get_or_insert(reason);
        self.shared.stop.cancel();
    }

    /// Why the runner should stop, if it should.
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.state().stop_reason
    }

    /// Fires when the runner should stop.
    pub fn stop_token(&self) -> &CancellationToken {
        &self.shared.stop
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held; if something did, the state is still whole.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_that_come_while_a_heartbeat_is_in_flight_stay_pending() {
        let reports = Reports::new(ReportLimits::default());
        reports.event(json!(1), 1);
        let sent = reports.snapshot();
        reports.event(json!(2), 1);
        reports.delivered(&sent);
        assert!(reports.is_pending());
        assert_eq!(reports.snapshot().events, [json!(2)]);
        let sent = reports.snapshot();
        reports.delivered(&sent);
        assert!(!reports.is_pending());
    }

    #[test]
    fn a_full_queue_drops_the_oldest_and_delivery_does_not_remove_newer_ones() {
        let reports = Reports::new(ReportLimits { pending_events: 2, pending_event_bytes: 100 });
        reports.event(json!(1), 1);
        reports.event(json!(2), 1);
        let sent = reports.snapshot();
        reports.event(json!(3), 1);
        assert_eq!(reports.dropped_events(), 1);
        reports.delivered(&sent);
        assert_eq!(reports.snapshot().events, [json!(3)], "2 was delivered, 3 was not");
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
