//! How the server is told.

use std::future::pending;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::lease::testing::*;
use crate::lease::{Ending, HeartbeatAnswer, ServerErrorKind};
use posemesh_runner_api::failure::{FailureKind, RunFailure};
use posemesh_runner_api::reports::StopReason;
use posemesh_runner_api::runner::RunnerCall;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_runner_that_fails_is_told_with_its_reason_and_what_it_stored() {
    let rig = Rig::new(|_| async { Err(failure("no such input: caused by: 404")) }).await;
    let ended = rig.work(lease(CAPABILITY)).await;
    assert!(ended.is_progress(), "a failed task is work done");
    let (reason, details) = rig.server.failure();
    assert_eq!(reason, "runner failed: no such input: caused by: 404");
    assert_eq!(details["failure"], json!({"kind": "runner_error"}));
    assert_eq!(details["artifacts"][0]["id"], "id-a");
    assert_eq!(details["job"]["capability"], CAPABILITY);
    assert_eq!(rig.server.words(), "heartbeat fail");
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_the_task_and_nothing_else() {
    let rig = Rig::new(|_| async { panic!("boom") }).await;
    let ended = rig.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.ending, Ending::Failed { confirmed: true, .. }), "{ended:?}");
    let (reason, details) = rig.server.failure();
    assert!(reason.starts_with("runner failed: ") && reason.contains("boom"), "{reason}");
    assert_eq!(details["failure"]["kind"], "host");
    assert_eq!(rig.task_dirs(), 0);
}

#[tokio::test(start_paused = true)]
async fn complete_is_tried_until_it_is_taken_while_heartbeats_go_on() {
    let rig = Rig::new(|_| async { Ok(()) }).await;
    for _ in 0..5 {
        rig.server.on_complete(Err(broken()));
    }
    let ended = rig.work(lease(CAPABILITY)).await;
    assert_eq!(ended.ending, Ending::Completed { confirmed: true });
    assert_eq!(rig.server.count("complete"), 6);
    assert_eq!(rig.server.count("fail"), 0, "exactly one end");
    assert_eq!(rig.server.calls().last().unwrap().1.word(), "complete", "nothing comes after it");
}

#[tokio::test(start_paused = true)]
async fn a_lease_outlives_its_ttl_while_complete_keeps_failing() {
    let rig = Rig::new(|_| async { Ok(()) }).await;
    for _ in 0..15 {
        rig.server.on_complete(Err(broken()));
    }
    let began = Instant::now();
    let ended = rig.work(lease(CAPABILITY)).await;
    assert_eq!(ended.ending, Ending::Completed { confirmed: true });
    assert!(began.elapsed() > TTL, "the back-off took longer than one TTL: {:?}", began.elapsed());
    assert!(rig.server.count("heartbeat") > 3, "so heartbeats kept it: {}", rig.server.words());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_takes_it_does_not_keep_the_worker_forever() {
    let rig = Rig::new(|_| async { Ok(()) }).await;
    for _ in 0..1000 {
        rig.server.on_complete(Err(broken()));
    }
    let began = Instant::now();
    let ended = rig.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.ending, Ending::Lost { .. }), "{ended:?}");
    assert!(began.elapsed() <= rig.context.settings.finish_patience + SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_409_after_an_attempt_that_was_cut_off_counts_as_completed() {
    let rig = Rig::new(|_| async { Ok(()) }).await;
    rig.server.on_complete(Err(cut_off()));
    rig.server.on_complete(Err(lost()));
    let ended = rig.work(lease(CAPABILITY)).await;
    assert_eq!(ended.ending, Ending::Completed { confirmed: false });
    assert_eq!(rig.server.words(), "heartbeat complete complete");
}

#[tokio::test(start_paused = true)]
async fn a_409_without_such_an_attempt_is_a_lost_lease() {
    for first in [None, Some(broken())] {
        let rig = Rig::new(|_| async { Ok(()) }).await;
        if let Some(first) = first {
            rig.server.on_complete(Err(first));
        }
        rig.server.on_complete(Err(lost()));
        let ended = rig.work(lease(CAPABILITY)).await;
        assert!(matches!(ended.ending, Ending::Lost { .. }), "{ended:?}");
        assert_eq!(rig.server.count("fail"), 0, "what is lost is not failed as well");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_expires_unheard_is_lost_whatever_may_have_arrived() {
    let rig = Rig::new(|_| async { Ok(()) }).await;
    rig.server.on_heartbeat(Ok(extended()));
    rig.server.then_heartbeats(Some(broken()));
    for _ in 0..100 {
        rig.server.on_complete(Err(cut_off()));
    }
    let ended = rig.work(lease(CAPABILITY)).await;
    assert!(matches!(&ended.ending, Ending::Lost { why } if why.contains("expired")), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_finds_the_lease_gone_while_complete_is_under_way_does_not_decide() {
    let rig = Rig::new(|_| async { Ok(()) }).await;
    rig.server.on_slow_complete(30 * SECOND, Ok(()));
    rig.server.on_heartbeat(Ok(extended()));
    rig.server.then_heartbeats(Some(lost()));
    let ended = rig.work(lease(CAPABILITY)).await;
    assert_eq!(ended.ending, Ending::Completed { confirmed: true });
}

#[tokio::test(start_paused = true)]
async fn a_refused_complete_gives_the_lease_back() {
    let rig = Rig::new(|_| async { Ok(()) }).await;
    rig.server.on_complete(Err(error(ServerErrorKind::Fatal)));
    let ended = rig.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.ending, Ending::Failed { .. }), "{ended:?}");
    assert!(rig.server.failure().0.starts_with("complete was refused: "));
    assert_eq!(rig.server.words(), "heartbeat complete fail");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_between_tries_of_complete_ends_them() {
    let rig = Rig::new(|_| async { Ok(()) }).await;
    for _ in 0..1000 {
        rig.server.on_complete(Err(broken()));
    }
    rig.server.on_heartbeat(Ok(extended()));
    rig.server.on_heartbeat(Ok(HeartbeatAnswer { cancel: true, ..extended() }));
    assert_eq!(rig.work(lease(CAPABILITY)).await.ending, Ending::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn work_that_is_given_back_is_failed_as_node_shutdown() {
    let rig = Rig::new(|call: RunnerCall| async move {
        call.reports.progress(json!({"percent": 10}));
        call.reports.stop_token().cancelled().await;
        assert_eq!(call.reports.stop_reason(), Some(StopReason::Shutdown));
        Err(failure("told to stop"))
    })
    .await;
    let give_back = rig.context.give_back.clone();
    tokio::spawn(async move {
        sleep(10 * SECOND).await;
        give_back.cancel();
    });
    let ended = rig.work(lease(CAPABILITY)).await;
    let expected = Ending::Failed { reason: "node_shutdown".to_owned(), confirmed: true };
    assert_eq!(ended.ending, expected);
    assert_eq!(rig.server.failure().1["failure"]["kind"], "runner_error");
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_ignores_the_shutdown_is_dropped_and_given_back() {
    let rig = Rig::new(|_| pending()).await;
    let give_back = rig.context.give_back.clone();
    tokio::spawn(async move {
        sleep(SECOND).await;
        give_back.cancel();
    });
    let began = Instant::now();
    let ended = rig.work(lease(CAPABILITY)).await;
    let expected = Ending::Failed { reason: "node_shutdown".to_owned(), confirmed: true };
    assert_eq!((ended.ending, ended.started), (expected, true));
    assert!(began.elapsed() <= rig.context.settings.stop_grace + 2 * SECOND);
    assert_eq!(rig.server.failure().1["failure"]["kind"], "cancelled");
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_makes_it_just_in_time_is_completed() {
    let rig = Rig::new(|call: RunnerCall| async move {
        call.reports.stop_token().cancelled().await;
        Ok(())
    })
    .await;
    let give_back = rig.context.give_back.clone();
    tokio::spawn(async move {
        sleep(SECOND).await;
        give_back.cancel();
    });
    assert_eq!(rig.work(lease(CAPABILITY)).await.ending, Ending::Completed { confirmed: true });
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_still_being_set_up_is_given_back_too() {
    let rig = Rig::new(|_| pending()).await;
    rig.server.then_heartbeats(Some(broken()));
    let give_back = rig.context.give_back.clone();
    tokio::spawn(async move {
        sleep(SECOND).await;
        give_back.cancel();
    });
    let ended = rig.work(lease(CAPABILITY)).await;
    let expected = Ending::Failed { reason: "node_shutdown".to_owned(), confirmed: true };
    assert_eq!((ended.ending, ended.started), (expected, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_holds_its_thread_delays_no_heartbeat_and_is_left_behind_when_it_stays() {
    let mut rig = Rig::new(|call: RunnerCall| async move {
        // What no runner should do: not one await.
        std::thread::sleep(Duration::from_millis(3500));
        drop(call);
        Ok(())
    })
    .await;
    rig.context.settings.stop_grace = Duration::from_millis(100);
    let short = || HeartbeatAnswer { lease_expires_at: Some(server_date() + 2 * SECOND), ..extended() };
    for _ in 0..3 {
        rig.server.on_heartbeat(Ok(short()));
    }
    rig.server.then_heartbeats(Some(lost()));
    let ended = rig.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.ending, Ending::Lost { .. }), "{ended:?}");
    assert_eq!(rig.server.count("heartbeat"), 4, "all came while the thread was held");
    assert_eq!(rig.records.totals().stuck_runners, 1);
}

#[tokio::test(start_paused = true)]
async fn a_runner_whose_host_says_that_it_is_stuck_is_counted() {
    let rig =
        Rig::new(|_| async { Err(RunFailure { kind: FailureKind::Stuck, ..failure("can't be ended") }) })
            .await;
    let ended = rig.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.ending, Ending::Failed { .. }), "{ended:?}");
    assert_eq!(rig.records.totals().stuck_runners, 1, "the node is not ready from now on");
}
