//! How final reports are delivered.

use std::future::pending;
use std::time::Duration;

use posemesh_runner_api::failure::{FailureKind, RunFailure};
use posemesh_runner_api::reports::StopReason;
use posemesh_runner_api::runner::RunnerCall;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::dms::{HeartbeatAnswer, JobServerErrorKind};
use crate::heartbeat::DEFAULT_TTL;
use crate::journal::OrphanedLease;
use crate::lease::{fail_unreadable, give_back};
use crate::records::LeaseOutcome;
use crate::testing::{
    CAPABILITY, LeaseFixture, TTL, broken, cut_off, error, extended, failure, lease, lost, server_date,
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_failure_is_reported_with_its_reason_and_what_was_stored() {
    let fixture = LeaseFixture::new(|_| async { Err(failure("no such input: caused by: 404")) }).await;
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert!(ended.is_progress(), "a failed task is work done");
    let (reason, details) = fixture.server.failure();
    assert_eq!(reason, "runner failed: no such input: caused by: 404");
    assert_eq!(details["failure"], json!({"kind": "runner_error", "blame": "runner"}));
    assert_eq!(details["artifacts"][0]["id"], "id-a");
    assert_eq!(details["job"]["capability"], CAPABILITY);
    assert_eq!(fixture.server.words(), "heartbeat fail");
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_the_task_and_nothing_else() {
    let fixture = LeaseFixture::new(|_| async { panic!("boom") }).await;
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.outcome, LeaseOutcome::Failed { confirmed: true, .. }), "{ended:?}");
    let (reason, details) = fixture.server.failure();
    assert!(reason.starts_with("node failed: ") && reason.contains("boom"), "{reason}");
    assert_eq!(details["failure"]["kind"], "host");
    assert_eq!(fixture.task_dirs(), 0);
}

#[tokio::test(start_paused = true)]
async fn complete_is_tried_until_it_is_taken_while_heartbeats_go_on() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    for _ in 0..5 {
        fixture.server.on_complete(Err(broken()));
    }
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert_eq!(ended.outcome, LeaseOutcome::Completed { confirmed: true });
    assert_eq!(fixture.server.count("complete"), 6);
    assert_eq!(fixture.server.count("fail"), 0, "exactly one end");
    assert_eq!(fixture.server.calls().last().unwrap().1.word(), "complete", "nothing comes after it");
}

#[tokio::test(start_paused = true)]
async fn a_lease_outlives_its_ttl_while_complete_keeps_failing() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    for _ in 0..15 {
        fixture.server.on_complete(Err(broken()));
    }
    let began = Instant::now();
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert_eq!(ended.outcome, LeaseOutcome::Completed { confirmed: true });
    assert!(began.elapsed() > TTL, "the back-off took longer than one TTL: {:?}", began.elapsed());
    assert!(fixture.server.count("heartbeat") > 3, "so heartbeats kept it: {}", fixture.server.words());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_takes_it_does_not_keep_the_worker_forever() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    for _ in 0..1000 {
        fixture.server.on_complete(Err(broken()));
    }
    let began = Instant::now();
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.outcome, LeaseOutcome::Lost { .. }), "{ended:?}");
    assert!(began.elapsed() <= fixture.context.settings.delivery_timeout + SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_409_after_an_attempt_that_was_cut_off_counts_as_completed() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    fixture.server.on_complete(Err(cut_off()));
    fixture.server.on_complete(Err(lost()));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert_eq!(ended.outcome, LeaseOutcome::Completed { confirmed: false });
    assert_eq!(fixture.server.words(), "heartbeat complete complete");
}

#[tokio::test(start_paused = true)]
async fn a_409_without_such_an_attempt_is_a_lost_lease() {
    for first in [None, Some(broken())] {
        let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
        if let Some(first) = first {
            fixture.server.on_complete(Err(first));
        }
        fixture.server.on_complete(Err(lost()));
        let ended = fixture.work(lease(CAPABILITY)).await;
        assert!(matches!(ended.outcome, LeaseOutcome::Lost { .. }), "{ended:?}");
        assert_eq!(fixture.server.count("fail"), 0, "what is lost is not failed as well");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_expires_unheard_is_lost_whatever_may_have_arrived() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    fixture.server.on_heartbeat(Ok(extended()));
    fixture.server.then_heartbeats(Some(broken()));
    for _ in 0..100 {
        fixture.server.on_complete(Err(cut_off()));
    }
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert!(
        matches!(&ended.outcome, LeaseOutcome::Lost { reason } if reason.contains("expired")),
        "{ended:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_finds_the_lease_gone_while_complete_is_under_way_does_not_decide() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    fixture.server.on_slow_complete(30 * SECOND, Ok(()));
    fixture.server.on_heartbeat(Ok(extended()));
    fixture.server.then_heartbeats(Some(lost()));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert_eq!(ended.outcome, LeaseOutcome::Completed { confirmed: true });
}

#[tokio::test(start_paused = true)]
async fn a_refused_complete_fails_the_task() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    fixture.server.on_complete(Err(error(JobServerErrorKind::Fatal)));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.outcome, LeaseOutcome::Failed { .. }), "{ended:?}");
    assert!(fixture.server.failure().0.starts_with("complete was refused: "));
    assert_eq!(fixture.server.words(), "heartbeat complete fail");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_between_tries_of_complete_ends_them() {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    for _ in 0..1000 {
        fixture.server.on_complete(Err(broken()));
    }
    fixture.server.on_heartbeat(Ok(extended()));
    fixture.server.on_heartbeat(Ok(HeartbeatAnswer { cancel: true, ..extended() }));
    assert_eq!(fixture.work(lease(CAPABILITY)).await.outcome, LeaseOutcome::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn work_that_is_released_is_failed_as_node_shutdown() {
    let fixture = LeaseFixture::new(|call: RunnerCall| async move {
        call.reports.progress(json!({"percent": 10}));
        call.reports.stop_token().cancelled().await;
        assert_eq!(call.reports.stop_reason(), Some(StopReason::Shutdown));
        Err(failure("asked to stop"))
    })
    .await;
    let release = fixture.context.release.clone();
    tokio::spawn(async move {
        sleep(10 * SECOND).await;
        release.give(Instant::now() + 10 * SECOND);
    });
    let ended = fixture.work(lease(CAPABILITY)).await;
    let expected = LeaseOutcome::Failed { reason: "node_shutdown".to_owned(), confirmed: true };
    assert_eq!(ended.outcome, expected);
    assert_eq!(fixture.server.failure().1["failure"]["kind"], "runner_error");
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_ignores_the_shutdown_is_aborted_and_its_lease_released() {
    let fixture = LeaseFixture::new(|_| pending()).await;
    let release = fixture.context.release.clone();
    tokio::spawn(async move {
        sleep(SECOND).await;
        release.give(Instant::now() + 10 * SECOND);
    });
    let began = Instant::now();
    let ended = fixture.work(lease(CAPABILITY)).await;
    let expected = LeaseOutcome::Failed { reason: "node_shutdown".to_owned(), confirmed: true };
    assert_eq!((ended.outcome, ended.started), (expected, true));
    assert!(began.elapsed() <= fixture.context.settings.stop_grace + 2 * SECOND);
    assert_eq!(fixture.server.failure().1["failure"]["kind"], "cancelled");
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_makes_it_just_in_time_is_completed() {
    let fixture = LeaseFixture::new(|call: RunnerCall| async move {
        call.reports.stop_token().cancelled().await;
        Ok(())
    })
    .await;
    let release = fixture.context.release.clone();
    tokio::spawn(async move {
        sleep(SECOND).await;
        release.give(Instant::now() + 10 * SECOND);
    });
    assert_eq!(fixture.work(lease(CAPABILITY)).await.outcome, LeaseOutcome::Completed { confirmed: true });
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_still_being_set_up_is_released_too() {
    let fixture = LeaseFixture::new(|_| pending()).await;
    fixture.server.then_heartbeats(Some(broken()));
    let release = fixture.context.release.clone();
    tokio::spawn(async move {
        sleep(SECOND).await;
        release.give(Instant::now() + 10 * SECOND);
    });
    let ended = fixture.work(lease(CAPABILITY)).await;
    let expected = LeaseOutcome::Failed { reason: "node_shutdown".to_owned(), confirmed: true };
    assert_eq!((ended.outcome, ended.started), (expected, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_holds_its_thread_delays_no_heartbeat_and_is_left_behind_when_it_stays() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Arc::new(std::sync::Mutex::new(released));
    let mut fixture = LeaseFixture::new(move |call: RunnerCall| {
        let released = released.clone();
        async move {
            // What no runner should do: not one await.
            let _ = released.lock().unwrap().recv_timeout(60 * SECOND);
            drop(call);
            Ok(())
        }
    })
    .await;
    fixture.context.settings.stop_grace = Duration::from_millis(100);
    let short = || HeartbeatAnswer { lease_expires_at: Some(server_date() + 2 * SECOND), ..extended() };
    for _ in 0..3 {
        fixture.server.on_heartbeat(Ok(short()));
    }
    fixture.server.then_heartbeats(Some(lost()));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.outcome, LeaseOutcome::Lost { .. }), "{ended:?}");
    assert_eq!(fixture.server.count("heartbeat"), 4, "all came while the thread was held");
    assert_eq!(fixture.records.totals().stuck_runs, 1);
    assert_eq!(fixture.records.aborted_runs(), 1, "its thread is held now");
    drop(release);
    let freed = async {
        while fixture.records.aborted_runs() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(60 * SECOND, freed).await.expect("the thread is free when the runner has ended");
    assert_eq!(fixture.records.totals().stuck_runs, 1, "that it happened stays counted");
}

#[tokio::test(start_paused = true)]
async fn a_runner_whose_host_says_that_it_is_stuck_is_counted() {
    let fixture = LeaseFixture::new(|_| async {
        Err(RunFailure { kind: FailureKind::Stuck, ..failure("can't be ended") })
    })
    .await;
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.outcome, LeaseOutcome::Failed { .. }), "{ended:?}");
    assert_eq!(fixture.records.totals().stuck_runs, 1);
    assert_eq!(fixture.records.aborted_runs(), 0, "its host knows whether it still holds a thread");
}

/// The moments, since the first, at which the only thing that is said about a lease is said: its `fail`, which the server
/// leaves without an answer for 25 seconds each time.
async fn fails_of(give_up: impl AsyncFnOnce(&LeaseFixture)) -> Vec<Duration> {
    let fixture = LeaseFixture::new(|_| async { Ok(()) }).await;
    for _ in 0..10 {
        fixture.server.on_slow_fail(25 * SECOND, Err(cut_off()));
    }
    let began = Instant::now();
    give_up(&fixture).await;
    fixture.server.times("fail").into_iter().map(|at| at - began).collect()
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_lease_that_is_only_failed_counts_from_its_first_report_on() {
    let unreadable = fails_of(async |fixture| {
        let superseded = CancellationToken::new();
        let outcome = fail_unreadable(&fixture.context, Uuid::nil(), "no JSON", &superseded).await;
        assert!(matches!(outcome, LeaseOutcome::Lost { .. }), "{outcome:?}");
    });
    let orphaned = fails_of(async |fixture| {
        give_back(&fixture.context, vec![OrphanedLease { task_id: Uuid::nil() }]).await;
    });
    for said in [unreadable.await, orphaned.await] {
        assert!(said.len() > 1, "it is tried again: {said:?}");
        assert!(said.iter().all(|at| *at <= DEFAULT_TTL), "nothing is said beyond the lease: {said:?}");
    }
}
