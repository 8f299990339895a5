//! How the worker stops.

use std::future::pending;

use posemesh_runner_api::runner::RunnerCall;
use serde_json::Value;
use tokio::time::sleep;

use super::*;
use crate::dms::{JobServerError, JobServerErrorKind};
use crate::testing::broken;

/// The default grace time, and when leases are given back then.
const GRACE: Duration = Duration::from_secs(25);
const RELEASE: Duration = Duration::from_secs(15);

/// A runner that takes this long.
async fn takes(time: Duration) -> LeaseFixture {
    let fixture = LeaseFixture::new(move |_| async move {
        sleep(time).await;
        Ok(())
    })
    .await;
    fixture.server.on_lease(Duration::ZERO, work());
    fixture
}

#[tokio::test(start_paused = true)]
async fn an_idle_node_stops_at_once() {
    let running =
        RunningWorker::start(LeaseFixture::new(|_| async { Ok(()) }).await, WorkerSettings::default());
    running.fixture.server.saw("lease", 1).await;
    sleep(SECOND / 10).await;
    let began = Instant::now();
    running.stop().await;
    assert!(began.elapsed() < SECOND / 10);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_registered_yet_stops_at_once() {
    let running =
        RunningWorker::start(LeaseFixture::new(|_| async { Ok(()) }).await, WorkerSettings::default());
    running.registered.send_replace(false);
    let began = Instant::now();
    running.stop().await;
    assert!(began.elapsed() < SECOND / 10);
}

#[tokio::test(start_paused = true)]
async fn what_is_running_may_finish_within_the_grace_time() {
    let running = RunningWorker::start(takes(RELEASE - SECOND).await, WorkerSettings::default());
    running.fixture.server.saw("heartbeat", 1).await;
    let server = running.fixture.server.clone();
    let totals = running.stop().await;
    assert_eq!(totals, LeaseTotals { leased: 1, completed: 1, ..LeaseTotals::default() });
    assert_eq!(server.count("lease"), 1, "nothing more is leased");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_finished_after_the_grace_time_is_released() {
    let running = RunningWorker::start(takes(3600 * SECOND).await, WorkerSettings::default());
    running.fixture.server.saw("heartbeat", 1).await;
    let server = running.fixture.server.clone();
    let records = running.fixture.records.clone();
    let began = Instant::now();
    let totals = running.stop().await;
    assert_eq!(totals, LeaseTotals { leased: 1, failed: 1, ..LeaseTotals::default() });
    let (reason, details) = server.failure();
    assert_eq!(reason, "node_shutdown");
    assert_eq!(details["failure"]["blame"], "host", "nobody else has ended it: {details}");
    assert!(began.elapsed() >= RELEASE && began.elapsed() < GRACE, "{:?}", began.elapsed());
    assert_eq!(records.list()[0].state.word(), "failed");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_accepts_no_report_does_not_keep_the_node() {
    let fixture = takes(3600 * SECOND).await;
    for _ in 0..1000 {
        fixture.server.on_fail(Err(broken()));
    }
    let running = RunningWorker::start(fixture, WorkerSettings::default());
    running.fixture.server.saw("heartbeat", 1).await;
    let began = Instant::now();
    let totals = running.stop().await;
    assert_eq!(totals, LeaseTotals { leased: 1, lost: 1, ..LeaseTotals::default() });
    assert!(began.elapsed() < GRACE, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_ends_it_at_once() {
    let running = RunningWorker::start(takes(3600 * SECOND).await, WorkerSettings::default());
    running.fixture.server.saw("heartbeat", 1).await;
    running.shutdown.stop();
    sleep(SECOND).await;
    running.shutdown.kill();
    let began = Instant::now();
    let (fixture, totals) = (running.fixture, running.worker.await.unwrap());
    assert!(began.elapsed() < SECOND / 10);
    assert_eq!(totals.lost, 1, "the record says so");
    assert_eq!(fixture.server.count("fail"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_granted_during_the_shutdown_is_released() {
    let fixture = LeaseFixture::new(|_: RunnerCall| async { panic!("it must not be started") }).await;
    fixture.server.on_lease(3 * SECOND, work());
    let running = RunningWorker::start(fixture, WorkerSettings::default());
    running.fixture.server.saw("lease", 1).await;
    let server = running.fixture.server.clone();
    let totals = running.stop().await;
    assert_eq!(totals, LeaseTotals { leased: 1, failed: 1, ..LeaseTotals::default() });
    let (reason, details) = server.failure();
    assert_eq!(reason, "node_shutdown");
    assert_eq!(details["job"]["job_id"], Value::Null, "details are those of a failed task: {details}");
    assert_eq!(server.words(), "lease fail");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_released_is_over_in_the_journal_as_soon_as_the_server_says_so() {
    let fixture = LeaseFixture::new(|_: RunnerCall| async { panic!("it must not be started") }).await;
    fixture.journal.hang();
    fixture.server.on_lease(3 * SECOND, work());
    let running = RunningWorker::start(fixture, WorkerSettings::default());
    running.fixture.server.saw("lease", 1).await;
    let (server, journal) = (running.fixture.server.clone(), running.fixture.journal.clone());
    let began = Instant::now();
    running.stop().await;
    assert_eq!(server.words(), "lease fail");
    assert!(journal.held().is_empty(), "killed while its disk hangs, the node would give it back twice");
    assert!(began.elapsed() < 4 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_request_for_work_that_is_never_answered_is_dropped_soon_whatever_the_grace_time() {
    for grace in [GRACE, 8 * SECOND] {
        let fixture = LeaseFixture::new(|_| pending()).await;
        fixture.server.on_lease(3600 * SECOND, Ok(LeaseAnswer::NoWork));
        let settings = WorkerSettings { shutdown_grace: grace, ..WorkerSettings::default() };
        let running = RunningWorker::start(fixture, settings);
        running.fixture.server.saw("lease", 1).await;
        let began = Instant::now();
        running.stop().await;
        assert!(began.elapsed() < 6 * SECOND, "{:?} with a grace of {grace:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn while_a_lease_is_worked_on_a_slow_answer_is_waited_for_and_its_lease_released() {
    let fixture = takes(12 * SECOND).await;
    fixture.server.on_lease(8 * SECOND, work());
    let settings = WorkerSettings { max_concurrency: 2, ..WorkerSettings::default() };
    let running = RunningWorker::start(fixture, settings);
    running.fixture.server.saw("lease", 2).await;
    let server = running.fixture.server.clone();
    let totals = running.stop().await;
    assert_eq!(totals, LeaseTotals { leased: 2, completed: 1, failed: 1, ..LeaseTotals::default() });
    assert_eq!(server.failure().0, "node_shutdown");
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_ignores_the_stop_is_given_back_within_every_grace_time() {
    for grace in [SECOND * 8, SECOND * 2, Duration::ZERO] {
        let settings = WorkerSettings { shutdown_grace: grace, ..WorkerSettings::default() };
        let running = RunningWorker::start(takes(3600 * SECOND).await, settings);
        running.fixture.server.saw("heartbeat", 1).await;
        let server = running.fixture.server.clone();
        let began = Instant::now();
        let totals = running.stop().await;
        assert_eq!(totals, LeaseTotals { leased: 1, failed: 1, ..LeaseTotals::default() }, "{grace:?}");
        assert_eq!(server.failure().0, "node_shutdown");
        assert!(began.elapsed() <= grace.max(2 * SECOND), "{:?} of {grace:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_as_long_as_the_task_takes_and_then_ends() {
    let running = RunningWorker::start(takes(86_400 * SECOND).await, WorkerSettings::default());
    running.fixture.server.saw("heartbeat", 1).await;
    running.shutdown.drain(AfterDrain::Stop);
    let server = running.fixture.server.clone();
    let totals = running.worker.await.unwrap();
    assert_eq!(totals, LeaseTotals { leased: 1, completed: 1, ..LeaseTotals::default() });
    assert_eq!(server.count("lease"), 1, "nothing more is leased");
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_undone() {
    let running = RunningWorker::start(takes(60 * SECOND).await, WorkerSettings::default());
    running.fixture.server.saw("heartbeat", 1).await;
    running.shutdown.drain(AfterDrain::Stop);
    sleep(30 * SECOND).await;
    running.shutdown.resume();
    running.fixture.server.saw("lease", 2).await;
    assert_eq!(running.stop().await.completed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_drained_node_may_stay_and_takes_leases_again() {
    let running = RunningWorker::start(takes(SECOND).await, WorkerSettings::default());
    running.fixture.server.saw("complete", 1).await;
    running.shutdown.drain(AfterDrain::Stay);
    sleep(SECOND).await;
    let asked = running.fixture.server.count("lease");
    sleep(3600 * SECOND).await;
    assert_eq!(running.fixture.server.count("lease"), asked, "no lease is asked for in an hour");
    running.shutdown.resume();
    running.fixture.server.saw("lease", asked + 1).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_has_no_time_for_the_long_waits_that_a_server_asks_for() {
    let fixture = takes(3600 * SECOND).await;
    fixture.server.on_fail(Err(JobServerError {
        kind: JobServerErrorKind::Retryable { retry_after: Some(60 * SECOND), outcome_unknown: false },
        text: "busy".to_owned(),
    }));
    let settings = WorkerSettings { shutdown_grace: SECOND * 8, ..WorkerSettings::default() };
    let running = RunningWorker::start(fixture, settings);
    running.fixture.server.saw("heartbeat", 1).await;
    let totals = running.stop().await;
    assert_eq!(
        totals,
        LeaseTotals { leased: 1, failed: 1, ..LeaseTotals::default() },
        "the second try is in time"
    );
}
