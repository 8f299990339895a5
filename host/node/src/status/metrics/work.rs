//! Leases and tasks.

use std::time::{SystemTime, UNIX_EPOCH};

use posemesh_plugin_host::manifest::Limits;

use super::catalog::{
    HEARTBEAT_MARGIN, HEARTBEATS, LAST_POLL, LEASES, LIMIT_HITS, POLLS, SLOTS, STUCK_RUNNERS, STUCK_RUNS,
    TASK_DURATION, TASK_FAILURES, TASKS_ENDED, TASKS_RUNNING,
};
use super::text::MetricsText;
use crate::meters;
use crate::status::sources::StatusSources;

pub(super) fn write(out: &mut MetricsText, sources: &StatusSources) {
    let records = &sources.records;
    let totals = records.totals();
    out.one(&SLOTS, sources.readiness.slots());
    out.one(&TASKS_RUNNING, totals.running());
    out.family(&POLLS, meters::POLLS.view().map(|(result, n)| ([result], n)));
    let answered = records.polls().since_answer().and_then(|ago| SystemTime::now().checked_sub(ago));
    let answered = answered.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    // To the second, since it is worked out anew each time.
    out.one(&LAST_POLL, answered.as_secs_f64().round());
    out.one(&LEASES, totals.leased);
    let ended = [
        ("completed", totals.completed),
        ("failed", totals.failed),
        ("cancelled", totals.cancelled),
        ("lost", totals.lost),
    ];
    out.family(&TASKS_ENDED, ended.map(|(ending, n)| ([ending], n)));
    let measures = records.measures();
    out.histograms(&TASK_DURATION, measures.durations.into_iter().map(|(ending, times)| ([ending], times)));
    let failures = measures.failures.iter().map(|((kind, blame), n)| ([*kind, blame.as_str()], *n));
    out.family(&TASK_FAILURES, failures);
    let mut hits = measures.limit_hits;
    // There before they happen: a rate needs a value before the first one.
    let _ = Limits::default().map(|limit, value| {
        hits.entry(limit.as_str().to_owned()).or_default();
        value
    });
    out.family(&LIMIT_HITS, hits.iter().map(|(limit, n)| ([limit.as_str()], *n)));
    out.one(&STUCK_RUNS, totals.stuck_runs);
    out.one(&STUCK_RUNNERS, sources.readiness.stuck_runners() as u64);
    out.family(&HEARTBEATS, meters::HEARTBEATS.view().map(|(result, n)| ([result], n)));
    out.histograms(&HEARTBEAT_MARGIN, [([], meters::HEARTBEAT_MARGIN.view())]);
}
