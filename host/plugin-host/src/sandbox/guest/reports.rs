//! What a task reports, on its way to the node: the latest progress, events, and what it has used.

use std::collections::BTreeMap;
use std::time::Duration;

use posemesh_runner_api::reports::Reports;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use crate::sandbox::guest::outbox::Outbox;
use crate::sandbox::wire::{CallId, ToNode};

/// How often the use of limits is told, whatever it is: the node takes a process that is silent for long for one that hangs.
const USAGE_INTERVAL: Duration = Duration::from_millis(250);

/// How long the first reports are gathered before they are passed on: what a task of less has reported is told with its end.
const FIRST: Duration = Duration::from_millis(1);
/// How long later ones are: a guest may report a thousand times in a second, of which a heartbeat tells one.
const SPACING: Duration = Duration::from_millis(5);

/// Passes on what is reported, for as long as it is polled.
pub(crate) async fn pass_on(call: CallId, reports: Reports, outbox: Outbox) {
    let mut usage = interval_at(Instant::now() + USAGE_INTERVAL, USAGE_INTERVAL);
    usage.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = reports.changed() => {
                sleep(FIRST).await;
                pass_on_now(call, &reports, &outbox);
                sleep(SPACING - FIRST).await;
            }
            _ = usage.tick() => outbox.send(&ToNode::Usage { call, used: used(&reports) }),
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

/// The last words but the end itself: what is left, and what was dropped.
pub(crate) fn finish(call: CallId, reports: &Reports, outbox: &Outbox) {
    pass_on_now(call, reports, outbox);
    let count = reports.dropped_events();
    if count > 0 {
        outbox.send(&ToNode::EventsDropped { call, count });
    }
}

/// What was used of each limit, by its name.
pub(crate) fn used(reports: &Reports) -> BTreeMap<String, u64> {
    reports.usage().into_iter().map(|used| (used.limit.to_owned(), used.used)).collect()
}
