#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::*;
use crate::auth::AuthError;
use crate::auth::mock::{Mock, json as answer, text};
use crate::dms::error::Class;

const TASK: Uuid = Uuid::from_u128(0x11111111_1111_4111_8111_111111111111);

/// Hands out `token-0`, and the next one after each refusal.
#[derive(Default)]
struct Tokens {
    number: AtomicUsize,
    refused: Mutex<Vec<String>>,
    forbidden: AtomicUsize,
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

    fn on_forbidden(&self) {
        self.forbidden.fetch_add(1, Ordering::SeqCst);
    }
}

fn client(mock: &Mock, path: &str) -> (DmsClient, Arc<Tokens>) {
    let tokens = Arc::new(Tokens::default());
    let client =
        DmsClient::new(mock.url.join(path).unwrap(), Duration::from_secs(5), tokens.clone()).unwrap();
    (client, tokens)
}

async fn lease_answered(
    reply: impl Fn() -> Response + Clone + Send + Sync + 'static,
) -> Result<LeaseAnswer, DmsError> {
    let mock = Mock::start(move |_, _| reply()).await;
    client(&mock, "").0.lease().await
}

#[tokio::test]
async fn paths_are_right_whatever_the_base_ends_in() {
    for (base, want) in [("", "/tasks"), ("v1", "/v1/tasks"), ("v1/", "/v1/tasks")] {
        let mock = Mock::start(|_, _| text(204, "")).await;
        let (client, _) = client(&mock, base);
        assert!(matches!(client.lease().await.unwrap(), LeaseAnswer::NoWork));
        let seen = &mock.seen()[0];
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", want));
        assert_eq!(seen.header("authorization"), "Bearer token-0");
        assert_eq!(seen.header("content-type"), "");
    }
}

#[tokio::test]
async fn bodies_are_exactly_those_of_the_protocol() {
    let mock = Mock::start(|_, _| answer(200, &json!({}))).await;
    let (client, _) = client(&mock, "v1");
    client.heartbeat(TASK, &json!({"p": 1}), &[json!("e")]).await.unwrap();
    client.complete(TASK, &json!({"output_cids": []})).await.unwrap();
    client.fail(TASK, "why", &json!({"stage": "build_ports"})).await.unwrap();
    let seen = mock.seen();
    for (request, verb, body) in [
        (&seen[0], "heartbeat", json!({"progress": {"p": 1}, "events": ["e"]})),
        (&seen[1], "complete", json!({"output_cids": []})),
        (&seen[2], "fail", json!({"reason": "why", "details": {"stage": "build_ports"}})),
    ] {
        assert_eq!(request.path, format!("/v1/tasks/{TASK}/{verb}"));
        assert_eq!((request.method.as_str(), &request.body), ("POST", &body));
        assert_eq!(request.header("content-type"), "application/json");
    }
}

#[tokio::test]
async fn the_first_401_gets_another_token_and_the_same_request_again() {
    let mock = Mock::start(|seen, _| match seen.header("authorization") {
        "Bearer token-1" => answer(200, &json!({"cancel": true})),
        _ => text(401, "expired"),
    })
    .await;
    let (client, tokens) = client(&mock, "v1");
    assert!(client.heartbeat(TASK, &json!({}), &[json!(1)]).await.unwrap().cancel);
    assert_eq!(*tokens.refused.lock().unwrap(), ["token-0"]);
    let seen = mock.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!((&seen[0].path, &seen[0].body), (&seen[1].path, &seen[1].body));
}

#[tokio::test]
async fn a_second_401_is_an_error_without_a_third_try() {
    let mock = Mock::start(|_, _| text(401, "no")).await;
    let (client, tokens) = client(&mock, "");
    for error in [
        client.lease().await.unwrap_err(),
        client.heartbeat(TASK, &json!({}), &[]).await.unwrap_err(),
        client.complete(TASK, &json!({})).await.unwrap_err(),
        client.fail(TASK, "", &json!({})).await.unwrap_err(),
    ] {
        assert_eq!((error.status(), error.classify()), (Some(StatusCode::UNAUTHORIZED), Class::Retryable));
    }
    assert_eq!(mock.seen().len(), 8, "each of the four calls is sent twice");
    assert_eq!(tokens.refused.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn other_failures_are_not_repeated_and_hold_no_body() {
    for status in [400_u16, 403, 404, 409, 410, 429, 500, 503] {
        let mock = Mock::start(move |_, _| text(status, "hunter2")).await;
        let (client, tokens) = client(&mock, "v1");
        let error = client.complete(TASK, &json!({})).await.unwrap_err();
        assert_eq!(error.status().unwrap().as_u16(), status);
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert_eq!(mock.seen().len(), 1);
        assert_eq!(tokens.forbidden.load(Ordering::SeqCst), 0, "a lost lease is no lost registration");
    }
}

#[tokio::test]
async fn lease_statuses_are_told_apart() {
    assert!(matches!(lease_answered(|| text(409, "busy")).await, Ok(LeaseAnswer::Busy)));
    let retry = || (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "7")]).into_response();
    let error = lease_answered(retry).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(lease_answered(|| text(302, "")).await.unwrap_err().classify(), Class::Fatal);

    let mock = Mock::start(|_, _| text(403, "node not registered")).await;
    let (client, tokens) = client(&mock, "v1");
    client.lease().await.unwrap_err();
    assert_eq!(tokens.forbidden.load(Ordering::SeqCst), 1, "the registration is told");
}

#[tokio::test]
async fn a_lease_and_an_undecodable_lease_are_read() {
    let good = || answer(200, &json!({"task": {"id": TASK, "capability": "/c/v1"}}));
    let Ok(LeaseAnswer::Lease(lease)) = lease_answered(good).await else { panic!("should be a lease") };
    assert_eq!(lease.task.id, TASK);
    assert!(lease.server_date.is_some(), "from the Date header");
    let bad = || answer(200, &json!({"task": {"id": TASK, "capability": 7}}));
    let Ok(LeaseAnswer::Undecodable { task_id, .. }) = lease_answered(bad).await else { panic!() };
    assert_eq!(task_id, Some(TASK));
    assert!(matches!(
        lease_answered(|| text(200, "<html>")).await,
        Ok(LeaseAnswer::Undecodable { task_id: None, .. })
    ));
}

#[tokio::test]
async fn huge_answers_are_refused_whether_announced_or_not() {
    let huge = || text(200, &" ".repeat(MAX_JSON_BODY + 1));
    assert!(matches!(lease_answered(huge).await, Err(DmsError::Body { .. })));
    let endless = || {
        let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1 << 16]));
        Response::new(Body::from_stream(chunks))
    };
    assert!(matches!(lease_answered(endless).await, Err(DmsError::Body { .. })));
}

#[tokio::test]
async fn an_empty_heartbeat_answer_is_an_error_that_may_be_retried() {
    for status in [200, 204] {
        let mock = Mock::start(move |_, _| text(status, "")).await;
        let error = client(&mock, "").0.heartbeat(TASK, &json!({}), &[]).await.unwrap_err();
        assert!(matches!(error, DmsError::Decode { .. }) && error.classify() == Class::Retryable, "{error}");
    }
}

#[tokio::test]
async fn a_silent_dms_runs_into_the_timeout() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}/v1", listener.local_addr().unwrap())).unwrap();
    let client = DmsClient::new(base, Duration::from_millis(50), Arc::new(Tokens::default())).unwrap();
    let error = client.lease().await.unwrap_err();
    assert!(matches!(&error, DmsError::Transport { cause, .. } if cause.contains("timed out")), "{error}");
}

#[tokio::test]
async fn connections_are_reused() {
    let peers: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}/v1", listener.local_addr().unwrap())).unwrap();
    let seen = Arc::clone(&peers);
    let handler = move |axum::extract::ConnectInfo(peer): axum::extract::ConnectInfo<
        std::net::SocketAddr,
    >| async move {
        seen.lock().unwrap().push(peer.to_string());
        StatusCode::NO_CONTENT
    };
    let service =
        axum::Router::new().fallback(handler).into_make_service_with_connect_info::<std::net::SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    let client = DmsClient::new(base, Duration::from_secs(5), Arc::new(Tokens::default())).unwrap();
    for _ in 0..3 {
        client.lease().await.unwrap();
    }
    server.abort();
    let peers = peers.lock().unwrap();
    assert!(peers.iter().all(|peer| *peer == peers[0]), "{peers:?}");
}
