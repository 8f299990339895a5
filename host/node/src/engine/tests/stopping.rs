//! How the engine stops.

use std::future::pending;

use serde_json::Value;
use tokio::time::sleep;

use super::*;
use posemesh_runner_api::runner::RunnerCall;

const GRACE: Duration = Duration::from_secs(30);

/// A runner that takes this long.
async fn takes(time: Duration) -> Rig {
    let rig = Rig::new(move |_| async move {
        sleep(time).await;
        Ok(())
    })
    .await;
    rig.server.on_lease(Duration::ZERO, work());
    rig
}

#[tokio::test(start_paused = true)]
async fn an_idle_node_stops_at_once() {
    let running = Running::start(Rig::new(|_| async { Ok(()) }).await, EngineSettings::default());
    running.rig.server.saw("lease", 1).await;
    sleep(SECOND / 10).await;
    let began = Instant::now();
    running.stop().await;
    assert!(began.elapsed() < SECOND / 10);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_registered_yet_stops_at_once() {
    let running = Running::start(Rig::new(|_| async { Ok(()) }).await, EngineSettings::default());
    running.ready.send_replace(false);
    let began = Instant::now();
    running.stop().await;
    assert!(began.elapsed() < SECOND / 10);
}

#[tokio::test(start_paused = true)]
async fn what_is_running_may_finish_within_the_grace_time() {
    let running = Running::start(takes(GRACE - SECOND).await, EngineSettings::default());
    running.rig.server.saw("heartbeat", 1).await;
    let server = running.rig.server.clone();
    let totals = running.stop().await;
    assert_eq!(totals, Totals { leased: 1, completed: 1, ..Totals::default() });
    assert_eq!(server.count("lease"), 1, "nothing more is leased");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_finished_after_the_grace_time_is_given_back() {
    let running = Running::start(takes(3600 * SECOND).await, EngineSettings::default());
    running.rig.server.saw("heartbeat", 1).await;
    let server = running.rig.server.clone();
    let records = running.rig.records.clone();
    let began = Instant::now();
    let totals = running.stop().await;
    assert_eq!(totals, Totals { leased: 1, failed: 1, ..Totals::default() });
    assert_eq!(server.failure().0, "node_shutdown");
    assert!(began.elapsed() >= GRACE && began.elapsed() < GRACE + 22 * SECOND, "{:?}", began.elapsed());
    assert_eq!(records.list()[0].state.word(), "failed");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_be_told_does_not_keep_the_node() {
    let rig = takes(3600 * SECOND).await;
    for _ in 0..1000 {
        rig.server.on_fail(Err(broken()));
    }
    let running = Running::start(rig, EngineSettings::default());
    running.rig.server.saw("heartbeat", 1).await;
    let began = Instant::now();
    let totals = running.stop().await;
    assert_eq!(totals, Totals { leased: 1, lost: 1, ..Totals::default() });
    assert!(began.elapsed() < GRACE + 45 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_ends_it_at_once() {
    let running = Running::start(takes(3600 * SECOND).await, EngineSettings::default());
    running.rig.server.saw("heartbeat", 1).await;
    running.shutdown.drain();
    sleep(SECOND).await;
    running.shutdown.kill();
    let began = Instant::now();
    let (rig, totals) = (running.rig, running.engine.await.unwrap());
    assert!(began.elapsed() < SECOND / 10);
    assert_eq!(totals.lost, 1, "the record says so");
    assert_eq!(rig.server.count("fail"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_answered_during_the_shutdown_is_given_back() {
    let rig = Rig::new(|_: RunnerCall| async { panic!("it must not be started") }).await;
    rig.server.on_lease(3 * SECOND, work());
    let running = Running::start(rig, EngineSettings::default());
    running.rig.server.saw("lease", 1).await;
    let server = running.rig.server.clone();
    let totals = running.stop().await;
    assert_eq!(totals, Totals { leased: 1, failed: 1, ..Totals::default() });
    let (reason, details) = server.failure();
    assert_eq!(reason, "node_shutdown");
    assert_eq!(details["job"]["job_id"], Value::Null, "details are those of a failed task: {details}");
    assert_eq!(server.words(), "lease fail");
}

#[tokio::test(start_paused = true)]
async fn a_request_for_work_that_is_never_answered_is_given_up_soon_whatever_the_grace_time() {
    for grace in [GRACE, Duration::ZERO] {
        let rig = Rig::new(|_| pending()).await;
        rig.server.on_lease(3600 * SECOND, Ok(LeaseAnswer::NoWork));
        let settings = EngineSettings { shutdown_grace: grace, ..EngineSettings::default() };
        let running = Running::start(rig, settings);
        running.rig.server.saw("lease", 1).await;
        let began = Instant::now();
        running.stop().await;
        assert!(began.elapsed() < 6 * SECOND, "{:?} with a grace of {grace:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn while_a_lease_is_worked_on_a_slow_answer_is_waited_for_and_given_back() {
    let rig = takes(20 * SECOND).await;
    rig.server.on_lease(15 * SECOND, work());
    let settings = EngineSettings { max_concurrency: 2, ..EngineSettings::default() };
    let running = Running::start(rig, settings);
    running.rig.server.saw("lease", 2).await;
    let server = running.rig.server.clone();
    let totals = running.stop().await;
    assert_eq!(totals, Totals { leased: 2, completed: 1, failed: 1, ..Totals::default() });
    assert_eq!(server.failure().0, "node_shutdown");
}
