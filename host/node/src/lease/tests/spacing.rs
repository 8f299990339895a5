//! How often a job server hears of a lease.

use std::time::Duration;

use posemesh_runner_api::runner::RunnerCall;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::dms::{HeartbeatAnswer, JobServerErrorKind};
use crate::records::LeaseOutcome;
use crate::testing::{CAPABILITY, LeaseFixture, ServerCall, error, extended, lease, server_date};

const SECOND: Duration = Duration::from_secs(1);

fn lasting(ttl: Duration) -> HeartbeatAnswer {
    HeartbeatAnswer { lease_expires_at: Some(server_date() + ttl), ..extended() }
}

#[tokio::test(start_paused = true)]
async fn the_cancellation_of_a_long_lease_is_heard_within_30_seconds() {
    let fixture = LeaseFixture::new(|call: RunnerCall| async move {
        call.reports.stop_token().cancelled().await;
        Ok(())
    })
    .await;
    fixture.server.on_heartbeat(Ok(lasting(3600 * SECOND)));
    fixture.server.on_heartbeat(Ok(HeartbeatAnswer { cancel: true, ..lasting(3600 * SECOND) }));
    let began = Instant::now();
    assert_eq!(fixture.work(lease(CAPABILITY)).await.outcome, LeaseOutcome::Cancelled);
    assert!(began.elapsed() <= 31 * SECOND, "heard after {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_chatty_runner_costs_the_server_a_few_heartbeats_at_once_and_then_one_every_ten_seconds() {
    let fixture = LeaseFixture::new(|call: RunnerCall| async move {
        for n in 0..6000 {
            call.reports.progress(json!({"done": n}));
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    })
    .await;
    fixture.server.on_heartbeat(Ok(lasting(3600 * SECOND)));
    fixture.work(lease(CAPABILITY)).await;
    let times = fixture.server.times("heartbeat");
    assert!((55..=75).contains(&times.len()), "ten minutes of reports made {} heartbeats", times.len());
    assert!(times[4] - times[0] <= 3 * SECOND, "the first few come at once");
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest <= 11 * SECOND, "progress is seen every ten seconds, not {longest:?}");
    let last = fixture.server.calls().into_iter().rev().find_map(|(_, call)| match call {
        ServerCall::Heartbeat { progress, .. } => Some(progress),
        _ => None,
    });
    assert_eq!(last.unwrap(), json!({"done": 5999}), "the last progress arrives");
}

#[tokio::test(start_paused = true)]
async fn spacing_never_puts_a_renewal_off() {
    let fixture = LeaseFixture::new(|call: RunnerCall| async move {
        for n in 0..1200 {
            call.reports.progress(json!(n));
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    })
    .await;
    for _ in 0..1000 {
        fixture.server.on_heartbeat(Ok(lasting(4 * SECOND)));
    }
    assert_eq!(fixture.work(lease(CAPABILITY)).await.outcome, LeaseOutcome::Completed { confirmed: true });
    let times = fixture.server.times("heartbeat");
    let longest = times[1..].windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest <= 2 * SECOND, "a lease of 4 s is renewed within 1.4 s, not {longest:?}");
}

#[tokio::test(start_paused = true)]
async fn the_last_reports_wait_for_as_long_as_the_server_asked_to_be_left_alone() {
    let fixture = LeaseFixture::new(|call: RunnerCall| async move {
        call.reports.progress(json!(1));
        sleep(2 * SECOND).await;
        call.reports.progress(json!(2));
        Ok(())
    })
    .await;
    fixture.server.on_heartbeat(Ok(lasting(600 * SECOND)));
    let asked = JobServerErrorKind::Retryable { retry_after: Some(60 * SECOND), outcome_unknown: false };
    fixture.server.on_heartbeat(Err(error(asked)));
    assert_eq!(fixture.work(lease(CAPABILITY)).await.outcome, LeaseOutcome::Completed { confirmed: true });
    assert_eq!(fixture.server.words(), "heartbeat heartbeat heartbeat complete");
    let times = fixture.server.times("heartbeat");
    let waited = times[2] - times[1];
    assert!(
        waited >= 60 * SECOND && waited <= 61 * SECOND,
        "the flush came {waited:?} after it was asked to wait"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_lease_does_not_allow_ends_in_time_for_the_result() {
    let fixture = LeaseFixture::new(|call: RunnerCall| async move {
        call.reports.progress(json!(1));
        sleep(2 * SECOND).await;
        Ok(())
    })
    .await;
    fixture.server.on_heartbeat(Ok(lasting(60 * SECOND)));
    let asked = JobServerErrorKind::Retryable { retry_after: Some(3600 * SECOND), outcome_unknown: false };
    fixture.server.then_heartbeats(Some(error(asked)));
    let began = Instant::now();
    assert_eq!(fixture.work(lease(CAPABILITY)).await.outcome, LeaseOutcome::Completed { confirmed: true });
    assert!(began.elapsed() <= 45 * SECOND, "the result went out after {:?}", began.elapsed());
}
