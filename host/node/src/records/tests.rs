//! The records as people see them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Duration;

use posemesh_runner_api::reports::{ReportLimits, Reports};
use serde_json::json;

use super::store::MAX_RECORDS;
use super::*;
use crate::testing::lease;

#[tokio::test(start_paused = true)]
async fn a_record_shows_progress_while_it_runs_and_keeps_the_last() {
    let records = TaskRecords::default();
    let open = records.begin(&lease("cap"));
    assert_eq!(records.list().pop().unwrap().state, RecordState::Starting);
    let reports = Reports::new(ReportLimits::default());
    open.running("runner 1.0.0 #1".to_owned(), None, reports.clone(), Default::default());
    reports.progress(json!({"percent": 50}));
    tokio::time::advance(Duration::from_secs(2)).await;
    let record = records.list().pop().unwrap();
    assert_eq!((record.state, record.took), (RecordState::Running, Duration::from_secs(2)));
    assert_eq!(record.progress, json!({"percent": 50}).into());
    open.end(LeaseOutcome::Completed { confirmed: true }, None);
    let record = records.list().pop().unwrap();
    assert_eq!((record.state.word(), record.progress), ("completed", json!({"percent": 50}).into()));
    assert_eq!(records.totals(), LeaseTotals { leased: 1, completed: 1, ..LeaseTotals::default() });
}

#[tokio::test(start_paused = true)]
async fn little_is_kept_of_large_reports_and_reasons() {
    let records = TaskRecords::default();
    let open = records.begin(&lease(&"c".repeat(1 << 20)));
    let reports = Reports::new(ReportLimits::default());
    open.running("r".repeat(1 << 20), None, reports.clone(), Default::default());
    let large = json!({ "z": 1, "a": "x".repeat(64 << 10) });
    reports.progress(large.clone());
    assert_eq!(records.list()[0].progress, large.into(), "whole while it runs");
    open.end(LeaseOutcome::Failed { reason: "f".repeat(1 << 20), confirmed: true }, None);
    let record = records.list().pop().unwrap();
    let progress: serde_json::Value = serde_json::from_str(record.progress.as_str()).unwrap();
    assert!(progress["too_large_to_keep"]["bytes"].as_u64().unwrap() > 64 << 10, "{progress}");
    assert!(format!("{record:?}").len() < 10_000, "{}", format!("{record:?}").len());
}

#[tokio::test]
async fn pages_go_from_new_to_old_and_meet_each_record_once() {
    let records = TaskRecords::default();
    for _ in 0..7 {
        records.begin(&lease("cap")).end(LeaseOutcome::Cancelled, None);
    }
    let (mut before, mut numbers) = (None, Vec::new());
    loop {
        let page = records.page(before, 3);
        assert_eq!(page.total, 7);
        numbers.extend(page.records.iter().map(|record| record.number));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(numbers, [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(records.page(None, 7).next, None);
    assert!(records.page(Some(0), 7).records.is_empty());
    let newest = records.list().pop().unwrap();
    assert_eq!(records.find(newest.task_id).map(|record| record.number), Some(7));
    assert!(records.find(uuid::Uuid::new_v4()).is_none());
}

#[tokio::test]
async fn all_that_is_worked_on_is_recent_however_many_have_ended_since() {
    let records = TaskRecords::default();
    let _old = records.begin(&lease("old"));
    for _ in 0..40 {
        records.begin(&lease("ended")).end(LeaseOutcome::Cancelled, None);
    }
    let _open: Vec<_> = (0..40).map(|_| records.begin(&lease("running"))).collect();
    let of = |recent: &RecentRecords, capability: &str| {
        recent.records.iter().filter(|record| record.capability == capability).count()
    };
    let recent = records.recent(256, 32);
    assert_eq!((of(&recent, "old"), of(&recent, "ended"), of(&recent, "running")), (1, 32, 40));
    assert_eq!(recent.left_out, 0);
    assert!(recent.records.is_sorted_by_key(|record| std::cmp::Reverse(record.number)), "newest first");
    let cut = records.recent(11, 1);
    assert_eq!((of(&cut, "old"), of(&cut, "running"), of(&cut, "ended"), cut.left_out), (1, 10, 1, 30));
    assert_eq!(cut.records.last().map(|record| record.number), Some(1), "the oldest is kept");
}

#[test]
fn only_the_last_tasks_that_ended_are_kept_but_all_are_counted() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let records = TaskRecords::default();
    let first = records.begin(&lease("first"));
    for _ in 0..MAX_RECORDS {
        records.begin(&lease("next")).end(LeaseOutcome::Cancelled, None);
    }
    assert_eq!(records.list().len(), MAX_RECORDS);
    assert_eq!(records.list()[0].capability, "first", "what goes on is not forgotten");
    first.end(LeaseOutcome::Cancelled, None);
    records.begin(&lease("next")).end(LeaseOutcome::Cancelled, None);
    assert_eq!(records.list().len(), MAX_RECORDS);
    assert!(records.list().iter().all(|record| record.capability == "next"));
    assert_eq!(records.totals().cancelled, MAX_RECORDS as u64 + 2);
}

#[test]
fn a_record_that_is_dropped_counts_as_lost() {
    let records = TaskRecords::default();
    drop(records.begin(&lease("cap")));
    assert_eq!(records.list().pop().unwrap().state.word(), "lost");
    assert_eq!(records.totals().lost, 1);
}
