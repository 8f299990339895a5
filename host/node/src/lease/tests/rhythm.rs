//! The rhythm of heartbeats.

use std::sync::Arc;
use std::time::Duration;

use posemesh_domain_client::TaskToken;
use posemesh_net::secret::Secret;
use posemesh_runner_api::reports::Reports;
use posemesh_runner_api::runner::RunnerCall;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::dms::{HeartbeatAnswer, JobServerErrorKind};
use crate::heartbeat::{HeartbeatSender, Heartbeats, LeaseClock};
use crate::records::LeaseOutcome;
use crate::testing::{CAPABILITY, LeaseFixture, ServerCall, error, extended, lease, server_date};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn renewals_keep_their_rhythm_and_are_the_only_heartbeats_of_a_silent_runner() {
    let fixture = LeaseFixture::new(|_| async {
        sleep(600 * SECOND).await;
        Ok(())
    })
    .await;
    fixture.work(lease(CAPABILITY)).await;
    let times = fixture.server.times("heartbeat");
    assert!((29..=41).contains(&times.len()), "600 s at 15 to 21 s are not {} heartbeats", times.len());
    for pair in times.windows(2) {
        let gap = pair[1] - pair[0];
        assert!(gap >= 15 * SECOND && gap <= 22 * SECOND, "a gap of {gap:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn people_see_when_the_lease_ends_and_the_next_heartbeat_is_due_while_the_runner_works() {
    let fixture = LeaseFixture::new(|_| async {
        sleep(100 * SECOND).await;
        Ok(())
    })
    .await;
    let records = fixture.records.clone();
    let looks = async {
        let mut seen = Vec::new();
        for _ in 0..9 {
            sleep(10 * SECOND).await;
            seen.push(records.list()[0].times.expect("it works").left());
        }
        seen
    };
    let (_, seen) = tokio::join!(fixture.work(lease(CAPABILITY)), looks);
    for (lease_ends, next_heartbeat) in seen {
        assert!(lease_ends > 30 * SECOND && lease_ends <= 60 * SECOND, "{lease_ends:?}");
        assert!(next_heartbeat <= 21 * SECOND && next_heartbeat < lease_ends, "{next_heartbeat:?}");
    }
    assert_eq!(fixture.records.list()[0].times, None, "it is over");
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_two_hours_off_changes_nothing() {
    for skew in [-7200_i64, 7200] {
        let fixture = LeaseFixture::new(|_| async {
            sleep(120 * SECOND).await;
            Ok(())
        })
        .await;
        // No Date to go by: all there is, is an expiry far from what our clock says.
        let odd = OffsetDateTime::now_utc() + time::Duration::seconds(60 + skew);
        let answer = || HeartbeatAnswer { lease_expires_at: Some(odd), server_date: None, ..extended() };
        for _ in 0..20 {
            fixture.server.on_heartbeat(Ok(answer()));
        }
        let mut lease = lease(CAPABILITY);
        (lease.lease_expires_at, lease.server_date) = (Some(odd), None);
        let ended = fixture.work(lease).await;
        assert_eq!(ended.outcome, LeaseOutcome::Completed { confirmed: true });
        let count = fixture.server.count("heartbeat");
        assert!((6..=9).contains(&count), "120 s at 15 to 21 s are not {count} heartbeats ({skew} s off)");
    }
}

#[tokio::test(start_paused = true)]
async fn without_any_expiry_heartbeats_are_timed_all_the_same() {
    let fixture = LeaseFixture::new(|_| async {
        sleep(120 * SECOND).await;
        Ok(())
    })
    .await;
    for _ in 0..20 {
        fixture.server.on_heartbeat(Ok(HeartbeatAnswer::default()));
    }
    let mut lease = lease(CAPABILITY);
    lease.lease_expires_at = None;
    assert_eq!(fixture.work(lease).await.outcome, LeaseOutcome::Completed { confirmed: true });
    let count = fixture.server.count("heartbeat");
    assert!((6..=9).contains(&count), "120 s at 15 to 21 s are not {count} heartbeats");
}

#[tokio::test(start_paused = true)]
async fn an_expiry_that_the_server_never_moves_does_not_become_a_flood() {
    let fixture = LeaseFixture::new(|_| async {
        sleep(55 * SECOND).await;
        Ok(())
    })
    .await;
    let began = Instant::now();
    for at in 0..600 {
        // The server's clock goes on while the expiry stays.
        let date = server_date() + Duration::from_millis(250 * at).min(59 * SECOND);
        fixture.server.on_heartbeat(Ok(HeartbeatAnswer { server_date: Some(date), ..extended() }));
    }
    fixture.work(lease(CAPABILITY)).await;
    assert!(fixture.server.count("heartbeat") as u128 <= began.elapsed().as_millis() / 250 + 2);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_events_is_gathered_and_none_is_lost_or_sent_twice() {
    let fixture = LeaseFixture::new(|call: RunnerCall| async move {
        for n in 0..2000 {
            call.reports.event(json!(n));
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    })
    .await;
    fixture.work(lease(CAPABILITY)).await;
    let count = fixture.server.count("heartbeat");
    assert!((20..=45).contains(&count), "10 s at four a second at most are not {count} heartbeats");
    assert_eq!(fixture.server.events(), (0..2000).map(Value::from).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn events_that_the_server_refuses_do_not_cost_the_lease() {
    let fixture = LeaseFixture::new(|call: RunnerCall| async move {
        call.reports.event(json!("bad"));
        sleep(120 * SECOND).await;
        Ok(())
    })
    .await;
    fixture.server.on_heartbeat(Ok(extended()));
    fixture.server.on_heartbeat(Err(error(JobServerErrorKind::Fatal)));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert_eq!(ended.outcome, LeaseOutcome::Completed { confirmed: true });
    assert_eq!(fixture.server.events(), [json!("bad")], "it was tried once");
}

#[tokio::test(start_paused = true)]
async fn a_progress_that_the_server_refuses_is_not_sent_again() {
    let fixture = LeaseFixture::new(|call: RunnerCall| async move {
        call.reports.progress(json!("good"));
        sleep(SECOND).await;
        call.reports.progress(json!("bad"));
        sleep(60 * SECOND).await;
        Ok(())
    })
    .await;
    fixture.server.on_heartbeat(Ok(extended()));
    fixture.server.on_heartbeat(Ok(extended()));
    fixture.server.on_heartbeat(Err(error(JobServerErrorKind::Fatal)));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert_eq!(ended.outcome, LeaseOutcome::Completed { confirmed: true });
    let calls = fixture.server.calls().into_iter();
    let sent: Vec<Value> = calls
        .filter_map(|(_, call)| match call {
            ServerCall::Heartbeat { progress, .. } => Some(progress),
            _ => None,
        })
        .collect();
    assert_eq!(sent[..4], [json!({}), json!("good"), json!("bad"), json!("good")]);
    assert!(!sent[4..].contains(&json!("bad")), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_brings_an_early_heartbeat_and_its_answer_rotates_the_token() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    let mut lease = lease(CAPABILITY);
    lease.access_token = Some(Secret::new("old"));
    fixture.server.on_heartbeat(Ok(HeartbeatAnswer { access_token: Some(Secret::new("new")), ..extended() }));
    let token = Arc::new(TaskToken::new(lease.access_token.clone()));
    let clock = LeaseClock::start(Instant::now(), lease.lease_expires_at, lease.server_date);
    let reports = Reports::new(fixture.context.settings.report_limits);
    let sender = HeartbeatSender::new(fixture.server.clone(), lease.task.id, clock, reports, token.clone());
    let _heartbeats = Heartbeats::start(sender, fixture.context.settings.heartbeat, CancellationToken::new());
    let began = Instant::now();
    token.want_refresh();
    let held = token.rotated_since(0).await;
    assert_eq!(held.token.unwrap().expose(), "new");
    assert!(began.elapsed() <= SECOND, "not only at the next renewal: {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn reports_that_a_heartbeat_carried_bring_no_other_one() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    let lease = lease(CAPABILITY);
    let clock = LeaseClock::start(Instant::now(), lease.lease_expires_at, lease.server_date);
    let reports = Reports::new(fixture.context.settings.report_limits);
    let token = Arc::new(TaskToken::new(None));
    let sender = HeartbeatSender::new(fixture.server.clone(), lease.task.id, clock, reports.clone(), token);
    reports.progress(json!({"percent": 100}));
    let heartbeats = Heartbeats::start(sender, fixture.context.settings.heartbeat, CancellationToken::new());
    heartbeats.flush().await;
    heartbeats.flush().await;
    sleep(10 * SECOND).await;
    assert_eq!(fixture.server.words(), "heartbeat");
}
