//! What a task reports, on its way to the node: the latest progress, events, and what it has used.

use std::time::Duration;

use posemesh_runner_api::reports::Reports;

use crate::sandbox::guest::outbox::Outbox;
use crate::sandbox::wire::{CallId, ToNode};

/// How often the use of limits is told, whatever it is: the node takes a process that is silent for long for one that hangs.
const USAGE_INTERVAL: Duration = Duration::from_millis(250);

/// Time between two reports that are passed on.
const SPACING: Duration = Duration::from_millis(5);

/// Passes on what is reported, for as long as it is polled.
pub(crate) async fn pass_on(call: CallId, reports: Reports, outbox: Outbox) {
    let mut usage = tokio::time::interval(USAGE_INTERVAL);
    usage.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = reports.changed() => {
                pass_on_now(call, &reports, &outbox);
                // A guest may report a thousand times in a second, of which a heartbeat tells one.
                tokio::time::sleep(SPACING).await;
            }
            _ = usage.tick() => tell_usage(call, &reports, &outbox),
        }
    }
}

/// Passes on what has not been passed on yet.
pub(crate) fn pass_on_now(call: CallId, reports: &Reports, outbox: &Outbox) {
    if !reports.is_pending() {
        return;
    }
    let snapshot = reports.snapshot();
    // Events first, as they are in a heartbeat: progress tells of what has been done by then.
    for json in snapshot.events.iter().cloned() {
        outbox.send(&ToNode::Event { call, json });
    }
    outbox.send(&ToNode::Progress { call, json: snapshot.progress.clone() });
    reports.delivered(&snapshot);
}

/// The last words: what is left, what was dropped, and what was used in the end.
pub(crate) fn finish(call: CallId, reports: &Reports, outbox: &Outbox) {
    pass_on_now(call, reports, outbox);
    let count = reports.dropped_events();
    if count > 0 {
        outbox.send(&ToNode::EventsDropped { call, count });
    }
    tell_usage(call, reports, outbox);
}

fn tell_usage(call: CallId, reports: &Reports, outbox: &Outbox) {
    let used: std::collections::BTreeMap<String, u64> =
        reports.usage().into_iter().map(|used| (used.limit.to_owned(), used.used)).collect();
    outbox.send(&ToNode::Usage { call, used });
}
