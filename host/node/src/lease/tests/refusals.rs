//! Answers that seem to say that the lease is over, or that a report is not wanted.

use std::time::Duration;

use posemesh_runner_api::runner::RunnerCall;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::dms::{HeartbeatAnswer, JobServerErrorKind};
use crate::records::LeaseOutcome;
use crate::testing::{
    CAPABILITY, LeaseFixture, TTL, broken, cut_off, error, extended, failure, lease, lost, perhaps_lost,
};

const SECOND: Duration = Duration::from_secs(1);

/// Runs for two minutes and succeeds.
async fn two_minutes() -> LeaseFixture {
    LeaseFixture::new(|_| async {
        sleep(120 * SECOND).await;
        Ok(())
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_single_404_or_403_on_a_heartbeat_is_asked_once_more() {
    let fixture = two_minutes().await;
    fixture.server.on_heartbeat(Ok(extended()));
    fixture.server.on_heartbeat(Err(perhaps_lost()));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert_eq!(ended.outcome, LeaseOutcome::Completed { confirmed: true });
    let times = fixture.server.times("heartbeat");
    let again = times[2] - times[1];
    assert!(again >= 2 * SECOND && again <= 6 * SECOND, "asked again after {again:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_404_shortly_after_is_believed_whatever_came_between() {
    for between in [None, Some(broken())] {
        let fixture = two_minutes().await;
        fixture.server.on_heartbeat(Ok(extended()));
        fixture.server.on_heartbeat(Err(perhaps_lost()));
        if let Some(between) = between {
            fixture.server.on_heartbeat(Err(between));
        }
        fixture.server.then_heartbeats(Some(perhaps_lost()));
        let ended = fixture.work(lease(CAPABILITY)).await;
        assert!(matches!(ended.outcome, LeaseOutcome::Lost { .. }), "{ended:?}");
        assert_eq!(fixture.server.count("complete") + fixture.server.count("fail"), 0);
        let times = fixture.server.times("heartbeat");
        assert!(times[times.len() - 1] - times[1] < 30 * SECOND, "within what the TTL allows");
    }
}

#[tokio::test(start_paused = true)]
async fn a_404_some_time_after_one_that_was_asked_again_is_a_new_doubt() {
    let fixture = two_minutes().await;
    fixture.server.on_heartbeat(Ok(extended()));
    for _ in 0..2 {
        fixture.server.on_heartbeat(Err(perhaps_lost()));
        fixture.server.on_heartbeat(Ok(extended()));
    }
    assert_eq!(fixture.work(lease(CAPABILITY)).await.outcome, LeaseOutcome::Completed { confirmed: true });
}

#[tokio::test(start_paused = true)]
async fn a_409_on_a_heartbeat_and_a_cancellation_are_believed_at_once() {
    let fixture = two_minutes().await;
    fixture.server.on_heartbeat(Ok(extended()));
    fixture.server.on_heartbeat(Err(lost()));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.outcome, LeaseOutcome::Lost { .. }), "{ended:?}");
    assert_eq!(fixture.server.count("heartbeat"), 2);

    let fixture = two_minutes().await;
    fixture.server.on_heartbeat(Err(perhaps_lost()));
    fixture.server.on_heartbeat(Ok(HeartbeatAnswer { cancel: true, ..extended() }));
    assert_eq!(fixture.work(lease(CAPABILITY)).await.outcome, LeaseOutcome::Cancelled);
    assert_eq!(fixture.server.words(), "heartbeat heartbeat");
}

#[tokio::test(start_paused = true)]
async fn an_initial_heartbeat_that_is_answered_404_once_does_not_cost_the_lease() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    fixture.server.on_heartbeat(Err(perhaps_lost()));
    assert_eq!(fixture.work(lease(CAPABILITY)).await.outcome, LeaseOutcome::Completed { confirmed: true });
    assert_eq!(fixture.server.words(), "heartbeat heartbeat complete");
}

#[tokio::test(start_paused = true)]
async fn a_single_404_on_complete_is_asked_once_more_and_a_second_is_believed() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    fixture.server.on_complete(Err(perhaps_lost()));
    assert_eq!(fixture.work(lease(CAPABILITY)).await.outcome, LeaseOutcome::Completed { confirmed: true });

    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    fixture.server.on_complete(Err(perhaps_lost()));
    fixture.server.on_complete(Err(perhaps_lost()));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.outcome, LeaseOutcome::Lost { .. }), "{ended:?}");
    assert_eq!(fixture.server.words(), "heartbeat complete complete");
}

#[tokio::test(start_paused = true)]
async fn after_a_complete_that_may_have_arrived_a_refusal_is_no_failure() {
    for refusal in
        [error(JobServerErrorKind::Fatal), error(JobServerErrorKind::TooLarge), perhaps_lost(), lost()]
    {
        let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
        fixture.server.on_complete(Err(cut_off()));
        fixture.server.on_complete(Err(broken()));
        fixture.server.on_complete(Err(refusal.clone()));
        fixture.server.on_complete(Err(refusal.clone()));
        let ended = fixture.work(lease(CAPABILITY)).await;
        assert_eq!(ended.outcome, LeaseOutcome::Completed { confirmed: false }, "after {refusal}");
        assert_eq!(
            fixture.server.count("fail"),
            0,
            "a completed task is not failed: {}",
            fixture.server.words()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_fail_that_may_have_arrived_a_refusal_is_no_lost_lease() {
    let fixture = LeaseFixture::new(|_| async { Err(failure("no")) }).await;
    fixture.server.on_fail(Err(cut_off()));
    fixture.server.on_fail(Err(error(JobServerErrorKind::Fatal)));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.outcome, LeaseOutcome::Failed { confirmed: false, .. }), "{ended:?}");
}

/// What each `fail` carried.
fn fails(fixture: &LeaseFixture) -> Vec<(String, Value)> {
    let calls = fixture.server.calls().into_iter();
    calls
        .filter_map(|(_, call)| match call {
            crate::testing::ServerCall::Fail { reason, details, .. } => Some((reason, details)),
            _ => None,
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_complete_that_is_too_large_is_failed_by_a_small_report_and_then_by_the_reason_alone() {
    let too_large = || error(JobServerErrorKind::TooLarge);
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    fixture.server.on_complete(Err(too_large()));
    fixture.server.on_fail(Err(too_large()));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.outcome, LeaseOutcome::Failed { confirmed: true, .. }), "{ended:?}");
    let fails = fails(&fixture);
    assert_eq!(fails.len(), 2, "{fails:?}");
    assert!(fails.iter().all(|(reason, _)| reason.starts_with("complete was refused: ")), "{fails:?}");
    assert_eq!(fails[0].1["artifact_count"], 1);
    assert_eq!(fails[0].1.get("artifacts"), None, "it was they that made it large");
    assert_eq!(fails[1].1, Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_too_large_is_reported_by_its_reason_alone() {
    let fixture = LeaseFixture::new(|_| async { Err(failure(&"no ".repeat(100))) }).await;
    fixture.server.on_fail(Err(error(JobServerErrorKind::TooLarge)));
    fixture.server.on_fail(Err(error(JobServerErrorKind::TooLarge)));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.outcome, LeaseOutcome::Failed { confirmed: true, .. }), "{ended:?}");
    let fails = fails(&fixture);
    assert_eq!(fails[0].1["failure"]["kind"], "runner_error");
    assert_eq!((fails[1].0.len() > 300, &fails[1].1), (true, &Value::Null));
    assert!(fails[2].0.len() <= 128 && fails[2].0.starts_with("runner failed: no no"), "{}", fails[2].0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_no_fail_of_any_size_is_not_asked_for_ever() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    fixture.server.on_complete(Err(error(JobServerErrorKind::TooLarge)));
    for _ in 0..9 {
        fixture.server.on_fail(Err(error(JobServerErrorKind::TooLarge)));
    }
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.outcome, LeaseOutcome::Lost { .. }), "{ended:?}");
    assert!(fixture.server.count("fail") <= 3, "{}", fixture.server.words());
}

#[tokio::test(start_paused = true)]
async fn events_that_are_too_large_for_the_server_do_not_cost_the_lease() {
    let fixture = LeaseFixture::new(|call: RunnerCall| async move {
        call.reports.event(json!("large"));
        sleep(120 * SECOND).await;
        Ok(())
    })
    .await;
    fixture.server.on_heartbeat(Ok(extended()));
    fixture.server.on_heartbeat(Err(error(JobServerErrorKind::TooLarge)));
    assert_eq!(fixture.work(lease(CAPABILITY)).await.outcome, LeaseOutcome::Completed { confirmed: true });
    assert_eq!(fixture.server.events(), [json!("large")], "it was tried once");
}

#[tokio::test(start_paused = true)]
async fn a_complete_that_is_refused_after_the_lease_is_over_is_not_failed_as_well() {
    for refusal in [JobServerErrorKind::TooLarge, JobServerErrorKind::Fatal] {
        let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
        fixture.server.on_heartbeat(Ok(extended()));
        fixture.server.then_heartbeats(Some(broken()));
        fixture.server.on_slow_complete(TTL + TTL / 2, Err(error(refusal)));
        let ended = fixture.work(lease(CAPABILITY)).await;
        assert!(matches!(ended.outcome, LeaseOutcome::Lost { .. }), "{ended:?}");
        assert_eq!(fixture.server.count("fail"), 0, "{}", fixture.server.words());
    }
}
