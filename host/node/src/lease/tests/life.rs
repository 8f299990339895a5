//! Leases while their runner works.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use posemesh_runner_api::runner::RunnerCall;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::dms::{HeartbeatAnswer, JobServerErrorKind};
use crate::records::LeaseOutcome;
use crate::testing::{CAPABILITY, LeaseFixture, ServerCall, TTL, broken, error, extended, lease, lost};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_quick_silent_task_is_one_heartbeat_and_one_complete_and_takes_no_time() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    let began = Instant::now();
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert_eq!(ended.outcome, LeaseOutcome::Completed { confirmed: true });
    assert!(ended.is_progress());
    assert_eq!(fixture.server.words(), "heartbeat complete");
    assert!(began.elapsed() < SECOND / 10, "no fixed sleeps");
    assert_eq!(fixture.task_dirs(), 0);
    let ServerCall::Heartbeat { progress, events, .. } = fixture.server.calls().remove(0).1 else { panic!() };
    assert_eq!((progress, events), (json!({}), vec![]));
}

#[tokio::test(start_paused = true)]
async fn the_last_progress_and_all_events_arrive_before_complete() {
    let fixture = LeaseFixture::new(|call: RunnerCall| async move {
        call.reports.event(json!("one"));
        call.reports.event(json!("two"));
        call.reports.progress(json!({"percent": 100}));
        Ok(())
    })
    .await;
    fixture.work(lease(CAPABILITY)).await;
    assert_eq!(fixture.server.words(), "heartbeat heartbeat complete");
    let ServerCall::Heartbeat { progress, events, .. } = fixture.server.calls().remove(1).1 else { panic!() };
    assert_eq!((progress, events), (json!({"percent": 100}), vec![json!("one"), json!("two")]));
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_in_flight_when_the_runner_ends_is_awaited_and_its_reports_are_not_sent_twice() {
    let fixture = LeaseFixture::new(|call: RunnerCall| async move {
        call.reports.event(json!(1));
        sleep(SECOND).await;
        Ok(())
    })
    .await;
    fixture.server.on_heartbeat(Ok(extended()));
    fixture.server.on_slow_heartbeat(5 * SECOND, Ok(extended()));
    let began = Instant::now();
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert_eq!(ended.outcome, LeaseOutcome::Completed { confirmed: true });
    assert_eq!(fixture.server.words(), "heartbeat heartbeat complete");
    assert!(began.elapsed() >= 5 * SECOND, "complete waits for the answer");
}

#[tokio::test(start_paused = true)]
async fn a_final_flush_that_fails_does_not_cost_the_result() {
    let fixture = LeaseFixture::new(|call: RunnerCall| async move {
        call.reports.progress(json!({"percent": 100}));
        Ok(())
    })
    .await;
    fixture.server.on_heartbeat(Ok(extended()));
    fixture.server.then_heartbeats(Some(broken()));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert_eq!(ended.outcome, LeaseOutcome::Completed { confirmed: true });
    assert!(fixture.server.count("heartbeat") > 2, "it was tried more than once: {}", fixture.server.words());
}

#[tokio::test(start_paused = true)]
async fn failing_heartbeats_for_half_the_ttl_do_not_lose_the_lease() {
    let fixture = LeaseFixture::new(|_| async {
        sleep(100 * SECOND).await;
        Ok(())
    })
    .await;
    let server = fixture.server.clone();
    tokio::spawn(async move {
        server.saw("heartbeat", 1).await;
        server.then_heartbeats(Some(broken()));
        sleep(TTL / 2 + 15 * SECOND).await;
        server.then_heartbeats(None);
    });
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert_eq!(ended.outcome, LeaseOutcome::Completed { confirmed: true });
    let tries = fixture.server.count("heartbeat");
    assert!((8..40).contains(&tries), "retried with back-off, not {tries} times");
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_lost_when_no_heartbeat_gets_through_for_the_whole_ttl() {
    for failure in [broken(), error(JobServerErrorKind::Unauthorized), error(JobServerErrorKind::Fatal)] {
        let fixture = LeaseFixture::new(|_| pending()).await;
        fixture.server.on_heartbeat(Ok(extended()));
        fixture.server.then_heartbeats(Some(failure));
        let began = Instant::now();
        let ended = fixture.work(lease(CAPABILITY)).await;
        assert!(
            matches!(&ended.outcome, LeaseOutcome::Lost { reason } if reason.contains("expired")),
            "{ended:?}"
        );
        let most = TTL + fixture.context.settings.stop_grace + 2 * SECOND;
        assert!(began.elapsed() >= TTL && began.elapsed() < most, "{:?}", began.elapsed());
        assert_eq!(fixture.server.count("complete") + fixture.server.count("fail"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn heartbeats_that_hang_leave_time_for_another_try() {
    let fixture = LeaseFixture::new(|_| async {
        sleep(120 * SECOND).await;
        Ok(())
    })
    .await;
    fixture.server.on_heartbeat(Ok(extended()));
    fixture.server.on_slow_heartbeat(3600 * SECOND, Ok(extended()));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert_eq!(ended.outcome, LeaseOutcome::Completed { confirmed: true });
}

#[tokio::test(start_paused = true)]
async fn a_409_on_a_heartbeat_stops_the_runner_and_nothing_more_is_sent() {
    let fixture = LeaseFixture::new(|call: RunnerCall| async move {
        call.reports.stop_token().cancelled().await;
        Ok(())
    })
    .await;
    fixture.server.on_heartbeat(Ok(extended()));
    fixture.server.on_heartbeat(Err(lost()));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.outcome, LeaseOutcome::Lost { .. }), "{ended:?}");
    assert_eq!(fixture.server.words(), "heartbeat heartbeat");
    assert_eq!(fixture.task_dirs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_drops_a_runner_that_does_not_listen() {
    let dropped = Arc::new(AtomicBool::new(false));
    let seen = dropped.clone();
    let fixture = LeaseFixture::new(move |_| {
        let guard = OnDrop(seen.clone());
        async move {
            let _guard = guard;
            pending().await
        }
    })
    .await;
    fixture.server.on_heartbeat(Ok(extended()));
    fixture.server.on_heartbeat(Ok(HeartbeatAnswer { cancel: true, ..extended() }));
    let began = Instant::now();
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert_eq!(ended.outcome, LeaseOutcome::Cancelled);
    assert!(dropped.load(Ordering::SeqCst), "its future is dropped");
    assert!(began.elapsed() < TTL, "after {:?}", began.elapsed());
    assert_eq!(fixture.server.words(), "heartbeat heartbeat");
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
