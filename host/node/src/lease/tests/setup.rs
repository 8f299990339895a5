//! Leases that do not get to their runner.

use std::time::Duration;

use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::runner::RunnerCall;
use posemesh_runner_api::task::Task;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::dms::{DomainServerUrl, HeartbeatAnswer, JobServerErrorKind};
use crate::records::LeaseOutcome;
use crate::testing::{CAPABILITY, LeaseFixture, ServerCall, TTL, broken, error, extended, lease, lost};

async fn never(_: RunnerCall) -> Result<(), RunFailure> {
    panic!("this runner must not be started")
}

fn setup_failed(outcome: &LeaseOutcome) -> bool {
    matches!(outcome, LeaseOutcome::Failed { reason, confirmed: true } if reason.starts_with("node_setup_failed: "))
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_cancelled_already_makes_no_call() {
    let fixture = LeaseFixture::new(never).await;
    let mut lease = lease(CAPABILITY);
    lease.cancel = true;
    let ended = fixture.work(lease).await;
    assert_eq!((ended.outcome.clone(), ended.started), (LeaseOutcome::Cancelled, false));
    assert!(!ended.is_progress(), "it must not be asked for again at once");
    assert_eq!(fixture.server.words(), "");
}

#[tokio::test(start_paused = true)]
async fn a_capability_without_a_runner_fails_at_start_session() {
    let fixture = LeaseFixture::new(never).await;
    let ended = fixture.work(lease("/other/v1")).await;
    assert!(setup_failed(&ended.outcome) && !ended.started, "{ended:?}");
    let (_, details) = fixture.server.failure();
    assert_eq!(details["stage"], "start_session");
    let text = details["error"].as_str().unwrap();
    assert!(text.contains("/other/v1") && text.contains(CAPABILITY), "both sides are named: {text}");
    assert_eq!(fixture.server.words(), "fail", "there is no heartbeat for it");
}

#[tokio::test(start_paused = true)]
async fn a_lease_without_its_domain_server_fails_at_build_ports() {
    let fixture = LeaseFixture::new(never).await;
    let mut lease = lease(CAPABILITY);
    lease.domain_server_url = DomainServerUrl::Missing;
    let ended = fixture.work(lease).await;
    assert!(setup_failed(&ended.outcome) && !ended.started, "{ended:?}");
    assert_eq!(
        fixture.server.failure().1,
        json!({"stage": "build_ports", "error": "the lease has no domain_server_url"})
    );
    assert_eq!(fixture.server.words(), "heartbeat fail");
    assert_eq!(fixture.task_dirs(), 0, "the task's directory is removed");
}

#[tokio::test(start_paused = true)]
async fn a_refused_initial_heartbeat_fails_at_once() {
    let fixture = LeaseFixture::new(never).await;
    fixture.server.on_heartbeat(Err(error(JobServerErrorKind::Fatal)));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert!(setup_failed(&ended.outcome), "{ended:?}");
    assert_eq!(fixture.server.failure().1["stage"], "initial_heartbeat");
    assert_eq!(fixture.server.words(), "heartbeat fail");
}

#[tokio::test(start_paused = true)]
async fn an_initial_heartbeat_that_keeps_failing_is_retried_and_ends_in_time_to_report_it() {
    let fixture = LeaseFixture::new(never).await;
    fixture.server.then_heartbeats(Some(broken()));
    let began = Instant::now();
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert!(setup_failed(&ended.outcome), "{ended:?}");
    let tries = fixture.server.count("heartbeat");
    assert!((5..30).contains(&tries), "{tries} tries in three quarters of a minute");
    assert!(began.elapsed() > TTL / 2 && began.elapsed() <= TTL * 3 / 4, "after {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_lost_initial_heartbeat_ends_the_lease_without_a_word() {
    let fixture = LeaseFixture::new(never).await;
    fixture.server.on_heartbeat(Err(lost()));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert!(matches!(ended.outcome, LeaseOutcome::Lost { .. }), "{ended:?}");
    assert!(!ended.is_progress());
    assert_eq!(fixture.server.words(), "heartbeat");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_in_the_initial_answer_keeps_the_runner_from_starting() {
    let fixture = LeaseFixture::new(never).await;
    fixture.server.on_heartbeat(Ok(HeartbeatAnswer { cancel: true, ..extended() }));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert_eq!(ended.outcome, LeaseOutcome::Cancelled);
    assert_eq!(fixture.server.words(), "heartbeat");
}

#[tokio::test(start_paused = true)]
async fn the_initial_answer_is_merged_into_what_the_runner_sees() {
    let task_id = Uuid::new_v4();
    let domain_id = Uuid::new_v4();
    let fixture = LeaseFixture::new(move |call: RunnerCall| async move {
        assert_eq!((call.task.id, call.task.domain_id), (task_id, Some(domain_id)));
        assert_eq!(call.task.label.as_deref(), Some("new"));
        Ok(())
    })
    .await;
    let mut task = Task::new(task_id, CAPABILITY);
    task.label = Some("new".to_owned());
    fixture.server.on_heartbeat(Ok(HeartbeatAnswer {
        task: Some(task),
        domain_id: Some(domain_id),
        ..extended()
    }));
    let ended = fixture.work(lease(CAPABILITY)).await;
    assert_eq!(ended.outcome, LeaseOutcome::Completed { confirmed: true });
    let Some((_, ServerCall::Complete { task_id: reported, body })) = fixture.server.calls().pop() else {
        panic!()
    };
    assert_eq!(reported, task_id, "the report goes to the task that the server named");
    assert_eq!(body["meta"]["job"]["task_id"], json!(task_id));
    assert_eq!(body["meta"]["job"]["domain_id"], json!(domain_id));
}

#[tokio::test(start_paused = true)]
async fn setup_failures_that_cannot_be_reported_end_with_the_lease() {
    let fixture = LeaseFixture::new(never).await;
    for _ in 0..100 {
        fixture.server.on_fail(Err(broken()));
    }
    let began = Instant::now();
    let ended = fixture.work(lease("/other/v1")).await;
    assert!(
        matches!(&ended.outcome, LeaseOutcome::Lost { reason } if reason.contains("expired")),
        "{ended:?}"
    );
    assert!(began.elapsed() < TTL + Duration::from_secs(1));
}
