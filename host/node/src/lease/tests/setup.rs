//! Leases that do not get to their runner.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::dms::DomainServerUrl;
use crate::lease::testing::*;
use crate::lease::{Ending, HeartbeatAnswer, ServerErrorKind};
use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::runner::RunnerCall;
use posemesh_runner_api::task::Task;

async fn never(_: RunnerCall) -> Result<(), RunFailure> {
    panic!("this runner must not be started")
}

fn setup_failed(ending: &Ending) -> bool {
    matches!(ending, Ending::Failed { reason, confirmed: true } if reason == "node_setup_failed")
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_cancelled_already_makes_no_call() {
    let rig = Rig::new(never).await;
    let mut lease = lease(CAPABILITY);
    lease.cancel = true;
    let ended = rig.work(lease).await;
    assert_eq!((ended.ending.clone(), ended.started), (Ending::Cancelled, false));
    assert!(!ended.is_progress(), "it must not be asked for again at once");
    assert_eq!(rig.server.words(), "");
}

#[tokio::test(start_paused = true)]
async fn a_capability_without_a_runner_fails_at_start_session() {
    let rig = Rig::new(never).await;
    let ended = rig.work(lease("/other/v1")).await;
    assert!(setup_failed(&ended.ending) && !ended.started, "{ended:?}");
    let (_, details) = rig.server.failure();
    assert_eq!(details["stage"], "start_session");
    let text = details["error"].as_str().unwrap();
    assert!(text.contains("/other/v1") && text.contains(CAPABILITY), "both sides are named: {text}");
    assert_eq!(rig.server.words(), "fail", "there is no heartbeat for it");
}

#[tokio::test(start_paused = true)]
async fn a_lease_without_its_domain_server_fails_at_build_ports() {
    let rig = Rig::new(never).await;
    let mut lease = lease(CAPABILITY);
    lease.domain_server_url = DomainServerUrl::Missing;
    let ended = rig.work(lease).await;
    assert!(setup_failed(&ended.ending) && !ended.started, "{ended:?}");
    assert_eq!(
        rig.server.failure().1,
        json!({"stage": "build_ports", "error": "the lease has no domain_server_url"})
    );
    assert_eq!(rig.server.words(), "heartbeat fail");
    assert_eq!(rig.task_dirs(), 0, "the task's directory is removed");
}

#[tokio::test(start_paused = true)]
async fn a_refused_initial_heartbeat_fails_at_once() {
    let rig = Rig::new(never).await;
    rig.server.on_heartbeat(Err(error(ServerErrorKind::Fatal)));
    let ended = rig.work(lease(CAPABILITY)).await;
    assert!(setup_failed(&ended.ending), "{ended:?}");
    assert_eq!(rig.server.failure().1["stage"], "initial_heartbeat");
    assert_eq!(rig.server.words(), "heartbeat fail");
}

#[tokio::test(start_paused = true)]
async fn an_initial_heartbeat_that_keeps_failing_is_retried_and_given_up_in_time_to_say_so() {
    let rig = Rig::new(never).await;
    rig.server.then_heartbeats(Some(broken()));
    let began = Instant::now();
    let ended = rig.work(lease(CAPABILITY)).await;
    assert!(setup_failed(&ended.ending), "{ended:?}");
    let tries = rig.server.count("heartbeat");
    assert!((5..30).contains(&tries), "{tries} tries in three quarters of a minute");
    assert!(began.elapsed() > TTL / 2 && began.elapsed() <= TTL * 3 / 4, "after {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_lost_initial_heartbeat_ends_the_lease_without_a_word() {
    let rig = Rig::new(never).await;
    rig.server.on_heartbeat(Err(lost()));
    let ended = rig.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.ending, Ending::Lost { .. }), "{ended:?}");
    assert!(!ended.is_progress());
    assert_eq!(rig.server.words(), "heartbeat");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_in_the_initial_answer_keeps_the_runner_from_starting() {
    let rig = Rig::new(never).await;
    rig.server.on_heartbeat(Ok(HeartbeatAnswer { cancel: true, ..extended() }));
    let ended = rig.work(lease(CAPABILITY)).await;
    assert_eq!(ended.ending, Ending::Cancelled);
    assert_eq!(rig.server.words(), "heartbeat");
}

#[tokio::test(start_paused = true)]
async fn the_initial_answer_is_merged_into_what_the_runner_sees() {
    let task_id = Uuid::new_v4();
    let domain_id = Uuid::new_v4();
    let rig = Rig::new(move |call: RunnerCall| async move {
        assert_eq!((call.task.id, call.task.domain_id), (task_id, Some(domain_id)));
        assert_eq!(call.task.label.as_deref(), Some("new"));
        Ok(())
    })
    .await;
    let mut task = Task::new(task_id, CAPABILITY);
    task.label = Some("new".to_owned());
    rig.server.on_heartbeat(Ok(HeartbeatAnswer {
        task: Some(task),
        domain_id: Some(domain_id),
        ..extended()
    }));
    let ended = rig.work(lease(CAPABILITY)).await;
    assert_eq!(ended.ending, Ending::Completed { confirmed: true });
    let Some((_, Call::Complete { task_id: told, body })) = rig.server.calls().pop() else { panic!() };
    assert_eq!(told, task_id, "the server is told about the task that it named");
    assert_eq!(body["meta"]["job"]["task_id"], json!(task_id));
    assert_eq!(body["meta"]["job"]["domain_id"], json!(domain_id));
}

#[tokio::test(start_paused = true)]
async fn setup_failures_that_cannot_be_told_end_with_the_lease() {
    let rig = Rig::new(never).await;
    for _ in 0..100 {
        rig.server.on_fail(Err(broken()));
    }
    let began = Instant::now();
    let ended = rig.work(lease("/other/v1")).await;
    assert!(matches!(&ended.ending, Ending::Lost { why } if why.contains("expired")), "{ended:?}");
    assert!(began.elapsed() < TTL + Duration::from_secs(1));
}
