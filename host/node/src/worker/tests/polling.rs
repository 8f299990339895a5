//! When the worker asks for work.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use posemesh_runner_api::runner::RunnerCall;
use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;

use super::*;
use crate::dms::{JobServerErrorKind, Lease};
use crate::testing::{ScriptedJobServer, broken, error};

#[tokio::test(start_paused = true)]
async fn an_idle_node_asks_at_random_times_within_the_bounds() {
    let running =
        RunningWorker::start(LeaseFixture::new(|_| async { Ok(()) }).await, WorkerSettings::default());
    sleep(3600 * SECOND).await;
    let gaps = running.gaps("lease");
    assert!(gaps.len() > 100, "{} polls in an hour", gaps.len());
    assert!(gaps.iter().all(|gap| (SECOND..=31 * SECOND).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap < 10 * SECOND) && gaps.iter().any(|gap| *gap > 20 * SECOND));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_work_the_next_lease_is_asked_for_at_once() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    for _ in 0..20 {
        fixture.server.on_lease(Duration::ZERO, work());
    }
    let running = RunningWorker::start(fixture, WorkerSettings::default());
    running.fixture.server.saw("complete", 20).await;
    assert!(running.began.elapsed() < SECOND, "{:?}", running.began.elapsed());
    assert_eq!(running.stop().await, LeaseTotals { leased: 20, completed: 20, ..LeaseTotals::default() });
}

#[tokio::test(start_paused = true)]
async fn while_work_flows_several_requests_are_under_way_and_never_more_than_free_workers() {
    for (max_concurrency, together) in [(1, 1), (2, 2), (8, 4)] {
        let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
        // The first is alone: nobody knows yet that there is more.
        for _ in 0..1 + 10 * together {
            fixture.server.on_lease(SECOND / 4, work());
        }
        let settings = WorkerSettings { max_concurrency, ..WorkerSettings::default() };
        let running = RunningWorker::start(fixture, settings);
        running.fixture.server.saw("complete", 1 + 10 * together).await;
        let took = running.began.elapsed();
        assert!((11 * SECOND / 4..3 * SECOND).contains(&took), "{max_concurrency} workers: {took:?}");
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn never_more_leases_than_workers() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let fixture = LeaseFixture::new(move |_| {
        let (now, most) = (now.clone(), most.clone());
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(SECOND).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    })
    .await;
    for _ in 0..30 {
        fixture.server.on_lease(Duration::ZERO, work());
    }
    let running =
        RunningWorker::start(fixture, WorkerSettings { max_concurrency: 3, ..WorkerSettings::default() });
    running.fixture.server.saw("complete", 30).await;
    assert_eq!(seen.load(Ordering::SeqCst), 3, "all workers are used and no more");
    assert!(running.began.elapsed() < 12 * SECOND, "{:?}", running.began.elapsed());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn busy_with_a_lease_of_ours_waits_for_its_end() {
    let fixture = LeaseFixture::new(|_| async {
        sleep(5 * SECOND).await;
        Ok(())
    })
    .await;
    fixture.server.on_lease(Duration::ZERO, work());
    fixture.server.on_lease(Duration::ZERO, Ok(LeaseAnswer::Busy));
    fixture.server.on_lease(Duration::ZERO, work());
    let running =
        RunningWorker::start(fixture, WorkerSettings { max_concurrency: 2, ..WorkerSettings::default() });
    running.fixture.server.saw("lease", 3).await;
    let gap = running.gaps("lease")[1];
    assert!((5 * SECOND..6 * SECOND).contains(&gap), "not before and at once after it, not {gap:?}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn leases_that_get_nowhere_are_not_asked_for_in_a_loop() {
    let cancelled = || {
        let mut lease = lease(CAPABILITY);
        lease.cancel = true;
        lease
    };
    let cases: [(&str, &dyn Fn() -> LeaseAnswer); 3] = [
        ("no runner", &|| LeaseAnswer::Lease(Box::new(lease("/other/v1")))),
        ("cancelled", &|| LeaseAnswer::Lease(Box::new(cancelled()))),
        ("unreadable", &|| LeaseAnswer::Unreadable { task_id: None, error: "no JSON".into() }),
    ];
    for (case, answer) in cases {
        let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
        for _ in 0..1000 {
            fixture.server.on_lease(Duration::ZERO, Ok(answer()));
        }
        let running = RunningWorker::start(fixture, WorkerSettings::default());
        sleep(600 * SECOND).await;
        let polls = running.fixture.server.count("lease");
        assert!((20..=45).contains(&polls), "{case}: {polls} polls in ten minutes");
        // What has no task's id is none of a job server.
        let answered = running.fixture.records.polls().since_answer().is_some();
        assert_eq!(answered, case != "unreadable", "{case}");
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_task_of_an_unreadable_lease_with_an_id_is_failed() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    let answer = LeaseAnswer::Unreadable {
        task_id: Some(Uuid::nil()),
        error: "the answer lacks the field `id`".into(),
    };
    fixture.server.on_lease(Duration::ZERO, Ok(answer));
    let running = RunningWorker::start(fixture, WorkerSettings::default());
    running.fixture.server.saw("fail", 1).await;
    let (reason, details) = running.fixture.server.failure();
    assert_eq!(reason, "node_setup_failed");
    assert_eq!(
        details,
        json!({"stage": "start_session",
        "error": "the lease can't be read: the answer lacks the field `id`"})
    );
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn errors_back_off_exponentially() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    for _ in 0..6 {
        fixture.server.on_lease(Duration::ZERO, Err(broken()));
    }
    let after = JobServerErrorKind::Retryable { retry_after: Some(90 * SECOND), outcome_unknown: false };
    fixture.server.on_lease(Duration::ZERO, Err(error(after)));
    let running = RunningWorker::start(fixture, WorkerSettings::default());
    running.fixture.server.saw("lease", 8).await;
    let gaps = running.gaps("lease");
    for (gap, (low, high)) in gaps.iter().zip([(1, 2), (2, 4), (4, 8), (8, 16), (15, 30), (15, 30), (90, 90)])
    {
        let rounding = Duration::from_millis(10);
        assert!(*gap >= low * SECOND && *gap <= high * SECOND + rounding, "{gap:?} is not {low} to {high} s");
    }
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn no_work_is_asked_for_without_registration_or_live_runners() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    fixture.runners.capabilities.send_replace(BTreeSet::new());
    let running = RunningWorker::start(fixture, WorkerSettings::default());
    running.registered.send_replace(false);
    sleep(100 * SECOND).await;
    running.registered.send_replace(true);
    sleep(100 * SECOND).await;
    assert_eq!(running.fixture.server.count("lease"), 0, "there is no live runner");
    running.fixture.runners.capabilities.send_replace(BTreeSet::from([CAPABILITY.to_owned()]));
    running.fixture.server.saw("lease", 1).await;
    assert_eq!(running.began.elapsed().as_secs(), 200, "at once when there is");
    running.registered.send_replace(false);
    sleep(SECOND).await;
    let before = running.fixture.server.count("lease");
    sleep(100 * SECOND).await;
    assert_eq!(running.fixture.server.count("lease"), before, "not while registration is lost");
    running.stop().await;
}

/// A worker with two workers that gets the same task twice; only the second run comes to an end.
async fn leased_twice(prepare: impl FnOnce(&LeaseFixture)) -> (Arc<ScriptedJobServer>, LeaseTotals) {
    let runs = AtomicUsize::new(0);
    let fixture = LeaseFixture::new(move |call: RunnerCall| {
        let first = runs.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if first {
                call.reports.stop_token().cancelled().await;
                sleep(SECOND).await;
            }
            Ok(())
        }
    })
    .await;
    let task = lease(CAPABILITY);
    let again = || Ok(LeaseAnswer::Lease(Box::new(task.clone())));
    fixture.server.on_lease(Duration::ZERO, again());
    fixture.server.on_lease(5 * SECOND, again());
    prepare(&fixture);
    let running =
        RunningWorker::start(fixture, WorkerSettings { max_concurrency: 2, ..WorkerSettings::default() });
    running.fixture.server.saw("complete", 1).await;
    sleep(30 * SECOND).await;
    let server = running.fixture.server.clone();
    (server, running.stop().await)
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_leased_anew_while_it_is_worked_on_is_ended_once_by_the_later_lease() {
    let (server, totals) = leased_twice(|_| ()).await;
    assert_eq!(totals, LeaseTotals { leased: 2, completed: 1, lost: 1, ..LeaseTotals::default() });
    assert_eq!((server.count("complete"), server.count("fail")), (1, 0), "{}", server.words());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_leased_anew_before_it_was_started_is_not_failed_by_the_earlier_lease() {
    let (server, totals) = leased_twice(|fixture| {
        for _ in 0..3 {
            fixture.server.on_heartbeat(Err(broken()));
        }
    })
    .await;
    assert_eq!(totals.leased, 2);
    assert_eq!((server.count("complete"), server.count("fail")), (1, 0), "{}", server.words());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_read_is_counted() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    let answer = LeaseAnswer::Unreadable { task_id: Some(Uuid::nil()), error: "no JSON".into() };
    fixture.server.on_lease(Duration::ZERO, Ok(answer));
    let running = RunningWorker::start(fixture, WorkerSettings::default());
    running.fixture.server.saw("fail", 1).await;
    assert_eq!(running.stop().await, LeaseTotals { leased: 1, failed: 1, ..LeaseTotals::default() });
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_read_is_in_the_journal_until_it_has_ended() {
    let fixture = LeaseFixture::new(|call: RunnerCall| async move {
        call.reports.stop_token().cancelled().await;
        Ok(())
    })
    .await;
    // The server leases a task anew that is still worked on, and the second lease can't be read.
    let task = lease(CAPABILITY);
    let unreadable = LeaseAnswer::Unreadable { task_id: Some(task.task.id), error: "no JSON".into() };
    fixture.server.on_lease(Duration::ZERO, Ok(LeaseAnswer::Lease(Box::new(task.clone()))));
    fixture.server.on_lease(5 * SECOND, Ok(unreadable));
    fixture.server.on_fail(Err(broken()));
    let settings = WorkerSettings { max_concurrency: 2, ..WorkerSettings::default() };
    let running = RunningWorker::start(fixture, settings);
    running.fixture.server.saw("fail", 1).await;
    assert_eq!(running.fixture.journal.held(), [task.task.id], "a crash now would leave it");
    running.fixture.server.saw("fail", 2).await;
    sleep(30 * SECOND).await;
    assert!(running.fixture.journal.held().is_empty(), "neither lease is left");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_request_waited_for_a_token_is_as_long_as_any_other() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    let wait = 100 * SECOND;
    let granted = Lease { sent: Some(Instant::now() + wait), ..lease(CAPABILITY) };
    fixture.server.on_lease(wait, Ok(LeaseAnswer::Lease(Box::new(granted))));
    let running = RunningWorker::start(fixture, WorkerSettings::default());
    running.fixture.server.saw("complete", 1).await;
    assert_eq!(running.stop().await.completed, 1);
}
