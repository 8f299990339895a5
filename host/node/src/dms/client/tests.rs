#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use posemesh_http_mock::{MockServer, Reply};
use serde_json::json;
use tokio::sync::mpsc;

use posemesh_net::http::MAX_JSON_BODY;

use super::*;
use crate::auth::AuthError;
use crate::dms::{JobServerErrorKind, SetupStage};

const TASK: Uuid = Uuid::from_u128(0x11111111_1111_4111_8111_111111111111);

/// Hands out `token-0`, and the next one after each refusal.
#[derive(Default)]
struct Tokens {
    number: AtomicUsize,
    refused: Mutex<Vec<String>>,
    forbidden: AtomicUsize,
    accepted: Mutex<Vec<String>>,
}

#[async_trait]
impl MachineAuth for Tokens {
    async fn bearer(&self) -> Result<Secret, AuthError> {
        Ok(Secret::new(format!("token-{}", self.number.load(Ordering::SeqCst))))
    }

    fn on_unauthorized(&self, refused: &Secret) {
        self.refused.lock().unwrap().push(refused.expose().to_owned());
        self.number.fetch_add(1, Ordering::SeqCst);
    }

    fn on_accepted(&self, token: &Secret) {
        self.accepted.lock().unwrap().push(token.expose().to_owned());
    }

    fn on_forbidden(&self) {
        self.forbidden.fetch_add(1, Ordering::SeqCst);
    }
}

fn client(mock: &MockServer, path: &str) -> (DmsClient, Arc<Tokens>) {
    let tokens = Arc::new(Tokens::default());
    let client =
        DmsClient::new(mock.url().join(path).unwrap(), Duration::from_secs(60), tokens.clone()).unwrap();
    (client, tokens)
}

fn completed() -> FinalReport {
    FinalReport::Complete(json!({"output_cids": []}))
}

async fn lease_answered(
    reply: impl Fn() -> Reply + Clone + Send + Sync + 'static,
) -> Result<LeaseAnswer, JobServerError> {
    let mock = MockServer::start(move |_, _| reply()).await;
    client(&mock, "").0.request_lease().await
}

#[tokio::test]
async fn paths_are_right_whatever_the_base_ends_in() {
    for (base, want) in [("", "/tasks"), ("v1", "/v1/tasks"), ("v1/", "/v1/tasks")] {
        let mock = MockServer::start(|_, _| Reply::status(204)).await;
        let (client, _) = client(&mock, base);
        assert!(matches!(client.request_lease().await.unwrap(), LeaseAnswer::NoWork));
        let seen = &mock.requests()[0];
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", want));
        assert_eq!(seen.header("authorization"), "Bearer token-0");
        assert_eq!(seen.header("content-type"), "");
    }
}

#[tokio::test]
async fn bodies_are_exactly_those_of_the_protocol() {
    let mock = MockServer::start(|_, _| Reply::json(&json!({}))).await;
    let (client, _) = client(&mock, "v1");
    client.heartbeat(TASK, &json!({"p": 1}).into(), &[json!("e").into()]).await.unwrap();
    client.finish(TASK, &completed()).await.unwrap();
    client.finish(TASK, &FinalReport::setup_failed(SetupStage::BuildPorts, "why")).await.unwrap();
    let seen = mock.requests();
    for (request, verb, body) in [
        (&seen[0], "heartbeat", json!({"progress": {"p": 1}, "events": ["e"]})),
        (&seen[1], "complete", json!({"output_cids": []})),
        (
            &seen[2],
            "fail",
            json!({"reason": "node_setup_failed", "details": {"stage": "build_ports", "error": "why"}}),
        ),
    ] {
        assert_eq!(request.target, format!("/v1/tasks/{TASK}/{verb}"));
        assert_eq!((request.method.as_str(), &request.json()), ("POST", &body));
        assert_eq!(request.header("content-type"), "application/json");
    }
}

#[tokio::test]
async fn the_first_401_gets_another_token_and_the_same_request_again() {
    let mock = MockServer::start(|seen, _| match seen.header("authorization") {
        "Bearer token-1" => Reply::json(&json!({"cancel": true})),
        _ => Reply::text(401, "expired"),
    })
    .await;
    let (client, tokens) = client(&mock, "v1");
    assert!(client.heartbeat(TASK, &json!({}).into(), &[json!(1).into()]).await.unwrap().cancel);
    assert_eq!(*tokens.refused.lock().unwrap(), ["token-0"]);
    assert_eq!(*tokens.accepted.lock().unwrap(), ["token-1"], "the one that was taken, and no other");
    let seen = mock.requests();
    assert_eq!(seen.len(), 2);
    assert_eq!((&seen[0].target, &seen[0].json()), (&seen[1].target, &seen[1].json()));
}

#[tokio::test]
async fn a_second_401_is_an_error_without_a_third_try() {
    let mock = MockServer::start(|_, _| Reply::text(401, "no")).await;
    let (client, tokens) = client(&mock, "");
    for error in [
        client.request_lease().await.unwrap_err(),
        client.heartbeat(TASK, &json!({}).into(), &[]).await.unwrap_err(),
        client.finish(TASK, &completed()).await.unwrap_err(),
        client.finish(TASK, &FinalReport::setup_failed(SetupStage::BuildPorts, "")).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, JobServerErrorKind::Unauthorized, "{error}");
        assert!(error.text.contains("401"), "{error}");
    }
    assert_eq!(mock.requests().len(), 8, "each of the four calls is sent twice");
    assert_eq!(tokens.refused.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn other_failures_are_not_repeated_and_hold_no_body() {
    for status in [400_u16, 403, 404, 409, 410, 429, 500, 503] {
        let mock = MockServer::start(move |_, _| Reply::text(status, "hunter2")).await;
        let (client, tokens) = client(&mock, "v1");
        let error = client.finish(TASK, &completed()).await.unwrap_err();
        assert!(error.text.contains(&status.to_string()), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert_eq!(mock.requests().len(), 1);
        assert_eq!(tokens.forbidden.load(Ordering::SeqCst), 0, "a lost lease is no lost registration");
    }
}

#[tokio::test]
async fn only_an_answer_that_dms_itself_gave_shows_that_it_takes_the_token() {
    for (status, taken) in [(200, 1), (204, 1), (409, 1), (403, 0), (404, 0), (429, 0), (503, 0)] {
        let mock = MockServer::start(move |_, _| Reply::text(status, "{}")).await;
        let (client, tokens) = client(&mock, "v1");
        let _ = client.request_lease().await;
        assert_eq!(tokens.accepted.lock().unwrap().len(), taken, "{status}");
    }
}

#[tokio::test]
async fn lease_statuses_are_told_apart() {
    assert!(matches!(lease_answered(|| Reply::text(409, "busy")).await, Ok(LeaseAnswer::Busy)));
    let retry = || Reply::status(503).header("retry-after", "7");
    let error = lease_answered(retry).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(lease_answered(|| Reply::text(302, "")).await.unwrap_err().kind, JobServerErrorKind::Fatal);

    let mock = MockServer::start(|_, _| Reply::text(403, "node not registered")).await;
    let (client, tokens) = client(&mock, "v1");
    client.request_lease().await.unwrap_err();
    assert_eq!(tokens.forbidden.load(Ordering::SeqCst), 1, "the registration learns of it");
}

#[tokio::test]
async fn a_lease_and_an_undecodable_lease_are_read() {
    let good = || Reply::json(&json!({"task": {"id": TASK, "capability": "/c/v1"}}));
    let Ok(LeaseAnswer::Lease(lease)) = lease_answered(good).await else { panic!("should be a lease") };
    assert_eq!(lease.task.id, TASK);
    assert!(lease.server_date.is_some(), "from the Date header");
    let bad = || Reply::json(&json!({"task": {"id": TASK, "capability": 7}}));
    let Ok(LeaseAnswer::Unreadable { task_id, .. }) = lease_answered(bad).await else { panic!() };
    assert_eq!(task_id, Some(TASK));
    assert!(matches!(
        lease_answered(|| Reply::text(200, "<html>")).await,
        Ok(LeaseAnswer::Unreadable { task_id: None, .. })
    ));
}

#[tokio::test]
async fn huge_answers_are_refused_whether_announced_or_not() {
    let too_large = format!("GET /tasks: the answer has more than {MAX_JSON_BODY} bytes");
    let huge = || Reply::text(200, " ".repeat(MAX_JSON_BODY + 1));
    assert_eq!(lease_answered(huge).await.unwrap_err().text, too_large);
    let endless = || {
        let (sender, chunks) = mpsc::channel(1);
        tokio::spawn(async move { while sender.send(Ok(Bytes::from(vec![b' '; 1 << 16]))).await.is_ok() {} });
        Reply::stream("application/json", chunks)
    };
    assert_eq!(lease_answered(endless).await.unwrap_err().text, too_large);
}

#[tokio::test]
async fn a_lease_over_4_mib_still_gives_its_task_id() {
    let filler = "x".repeat(MAX_JSON_BODY);
    for body in [
        format!(r#"{{"task":{{"id":"{TASK}","meta":"{filler}"}}}}"#),
        format!(r#"{{"task":{{"meta":{{"id":7,"s":"{filler}"}},"id":"{TASK}"}}}}"#),
        format!(r#"{{"note":"{filler}","task":{{"capability":"/c/v1","id":"{TASK}"}}}}"#),
        format!(r#"{{"note":"{filler}","task_id":"{TASK}"}}"#),
    ] {
        let announced = Bytes::from(body);
        let in_pieces = announced.clone();
        let streamed = move || {
            let (sender, chunks) = mpsc::channel(1);
            let body = in_pieces.clone();
            tokio::spawn(async move {
                for piece in body.chunks(9973) {
                    let _ = sender.send(Ok(Bytes::copy_from_slice(piece))).await;
                }
            });
            Reply::stream("application/json", chunks)
        };
        let announced = move || Reply::bytes("application/json", announced.clone());
        for answer in [lease_answered(announced).await, lease_answered(streamed).await] {
            let Ok(LeaseAnswer::Unreadable { task_id, error }) = answer else { panic!("{answer:?}") };
            assert_eq!(task_id, Some(TASK));
            assert_eq!(error, format!("the answer has more than {MAX_JSON_BODY} bytes"));
        }
    }
}

#[tokio::test]
async fn a_heartbeat_answer_over_4_mib_extends_the_lease_all_the_same() {
    let task = format!(
        r#"{{"id":"{TASK}","capability":"/c/v1","meta":{{"events":["{}"]}}}}"#,
        "x".repeat(MAX_JSON_BODY)
    );
    let body = format!(
        r#"{{"access_token":"next","task":{task},"cancel":false,"lease_expires_at":"2036-01-01T00:00:00Z"}}"#
    );
    let body = Bytes::from(body);
    let mock = MockServer::start(move |_, _| Reply::bytes("application/json", body.clone())).await;
    let answer = client(&mock, "").0.heartbeat(TASK, &json!({}).into(), &[]).await.unwrap();
    assert_eq!(answer.access_token, Some(Secret::new("next")));
    assert!(answer.lease_expires_at.is_some() && answer.server_date.is_some() && answer.task.is_none());

    let huge = Bytes::from(vec![b'1'; MAX_JSON_BODY + 1]);
    let mock = MockServer::start(move |_, _| Reply::bytes("application/json", huge.clone())).await;
    let error = client(&mock, "").0.heartbeat(TASK, &json!({}).into(), &[]).await.unwrap_err();
    assert!(error.text.contains("more than"), "{error}");
}

#[tokio::test]
async fn an_empty_heartbeat_answer_is_an_error_that_may_be_retried() {
    for status in [200, 204] {
        let mock = MockServer::start(move |_, _| Reply::status(status)).await;
        let error = client(&mock, "").0.heartbeat(TASK, &json!({}).into(), &[]).await.unwrap_err();
        let retryable = JobServerErrorKind::Retryable { retry_after: None, outcome_unknown: true };
        assert_eq!(error.kind, retryable, "{error}");
    }
}

#[tokio::test]
async fn a_silent_dms_runs_into_the_timeout() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}/v1", listener.local_addr().unwrap())).unwrap();
    let client = DmsClient::new(base, Duration::from_millis(50), Arc::new(Tokens::default())).unwrap();
    let error = client.request_lease().await.unwrap_err();
    let retryable = JobServerErrorKind::Retryable { retry_after: None, outcome_unknown: true };
    assert_eq!(error.kind, retryable, "{error}");
    assert!(error.text.contains("timed out"), "{error}");
}

#[tokio::test]
async fn connections_are_reused() {
    let mock = MockServer::start(|_, _| Reply::status(204)).await;
    let (client, _) = client(&mock, "v1");
    for _ in 0..3 {
        client.request_lease().await.unwrap();
    }
    let peers: Vec<_> = mock.requests().iter().map(|request| request.peer).collect();
    assert!(peers.iter().all(|peer| *peer == peers[0]), "{peers:?}");
}
