#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use posemesh_http_mock::{MockServer, Reply};
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::auth::login::LoginError;

const TIMEOUT: Duration = Duration::from_secs(5);

fn client(mock: &MockServer) -> DdsClient {
    DdsClient::new(mock.url(), TIMEOUT).unwrap()
}

fn challenge() -> Value {
    json!({"nonce": "n0nce12345678901", "domain": "d", "uri": "u", "version": "1", "chainId": 8453,
        "issuedAt": "2026-01-02T03:04:05Z", "unknown": {}})
}

async fn verify_answered(
    reply: impl Fn() -> Reply + Clone + Send + Sync + 'static,
) -> Result<MachineToken, DdsError> {
    let mock = MockServer::start(move |_, _| reply()).await;
    client(&mock).verify("0xaa", "message", "0xsignature").await
}

#[tokio::test]
async fn the_nonce_call_sends_the_wallet_and_reads_all_fields() {
    let mock = MockServer::start(|_, _| Reply::json(&challenge())).await;
    let got = client(&mock).nonce("0xaa").await.unwrap();
    assert_eq!((got.nonce.as_str(), got.chain_id), ("n0nce12345678901", 8453));
    let seen = &mock.requests()[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/internal/v1/auth/siwe/request"));
    assert_eq!(seen.json(), json!({"wallet": "0xaa"}));
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.header("authorization"), "");
}

#[tokio::test]
async fn a_nonce_answer_that_lacks_anything_is_an_answer_error_that_may_be_retried() {
    for field in ["nonce", "domain", "uri", "version", "chainId", "issuedAt"] {
        let mut body = challenge();
        body[field] = Value::Null;
        let mock = MockServer::start(move |_, _| Reply::json(&body)).await;
        let error = client(&mock).nonce("0xaa").await.unwrap_err();
        assert!(error.to_string().contains(&format!("lacks the field `{field}`")), "{error}");
        assert!(error.is_transient());
    }
    let mut body = challenge();
    body["nonce"] = json!("");
    let mock = MockServer::start(move |_, _| Reply::json(&body)).await;
    assert!(client(&mock).nonce("0xaa").await.unwrap_err().to_string().contains("`nonce`"));
}

#[tokio::test]
async fn login_prefers_access_expires_at_and_falls_back_to_expires_at() {
    let granted = verify_answered(|| {
        Reply::json(
            &json!({"access_token": "t", "access_expires_at": "2026-01-01T00:00:00Z", "expires_at": "x"}),
        )
    });
    let granted = granted.await.unwrap();
    assert_eq!(granted.expires_at, datetime!(2026-01-01 0:00 UTC));
    assert!(granted.server_date.is_some(), "the server sends a date");
    let granted =
        verify_answered(|| Reply::json(&json!({"access_token": "t", "expires_at": "2026-01-01T00:00:00Z"})));
    assert_eq!(granted.await.unwrap().expires_at, datetime!(2026-01-01 0:00 UTC));
}

#[tokio::test]
async fn bad_login_answers_are_reported_without_quoting_them() {
    for (body, expected) in [
        (json!({"access_token": ["hunter2"], "expires_at": "2026-01-01T00:00:00Z"}), "`access_token`"),
        (json!({"access_token": "", "expires_at": "2026-01-01T00:00:00Z"}), "`access_token`"),
        (json!({"access_token": "hunter2\n", "expires_at": "2026-01-01T00:00:00Z"}), "header"),
        (json!({"access_token": "hunter2"}), "lacks the field `access_expires_at`"),
        (json!({"access_token": "hunter2", "access_expires_at": "hunter2"}), "RFC 3339"),
        (json!("hunter2"), "not a JSON object"),
    ] {
        let error = verify_answered(move || Reply::json(&body)).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn refusals_carry_the_status_and_a_safe_excerpt_of_plain_text() {
    let error = verify_answered(|| Reply::text(403, "node\nnot found")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "POST /internal/v1/auth/siwe/verify: DDS answered 403 Forbidden: node not found"
    );
    assert!(error.answered(DdsCall::Verify, &[403]) && !error.answered(DdsCall::Nonce, &[403]));
    // A two-byte letter at the limit, and far more than is read.
    let error = verify_answered(|| Reply::text(500, "xé ".repeat(1 << 20))).await.unwrap_err();
    assert!(error.to_string().len() < 600, "{error}");
    let error =
        verify_answered(|| Reply::json(&json!({"token": "hunter2"})).with_status(401)).await.unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "JSON is not quoted: {error}");
    let error = verify_answered(|| Reply::text(400, "bad 0xsignature")).await.unwrap_err();
    assert!(error.to_string().ends_with("bad [redacted]"), "{error}");
}

#[tokio::test]
async fn registration_sends_all_fields_and_takes_any_2xx() {
    let mock =
        MockServer::start(
            |_, before| if before == 0 { Reply::status(200) } else { Reply::text(500, "no hunter2!") },
        )
        .await;
    let (secret, capabilities) = (Secret::new("hunter2"), ["/a/v1".to_owned()]);
    let client = client(&mock);
    client.register_wallet("message", "0xs", &secret, &capabilities, "1.2.3").await.unwrap();
    let seen = &mock.requests()[0];
    assert_eq!(seen.target, "/internal/v1/nodes/register-wallet");
    assert_eq!(
        seen.json(),
        json!({"message": "message", "signature": "0xs", "registration_credentials": "hunter2",
            "capabilities": ["/a/v1"], "version": "1.2.3"})
    );
    let error = client.register_wallet("message", "0xs", &secret, &capabilities, "1.2.3").await.unwrap_err();
    assert!(error.to_string().ends_with("no [redacted]!"), "{error}");
}

#[tokio::test]
async fn robots_send_exactly_their_fields_and_their_errors_hold_no_body() {
    let robot_id = "0b9ad4a4-2c84-4a9c-9d1b-1f6b8e7f6c01";
    let body =
        |id: &str| json!({"robot_id": id, "access_token": "t", "access_expires_at": "2026-01-01T00:00:00Z"});
    let mock = MockServer::start(move |_, before| match before {
        0 | 1 => Reply::json(&body(robot_id)),
        2 => Reply::json(&body("00000000-0000-0000-0000-000000000000")),
        _ => Reply::text(403, "secret hunter2"),
    })
    .await;
    let (client, credentials) = (client(&mock), Secret::new("hunter2"));
    client.register_robot(&credentials, "1.0", &["/a/v1".to_owned()]).await.unwrap();
    client.verify_robot(&credentials).await.unwrap();
    let error = client.verify_robot(&credentials).await.unwrap_err();
    assert!(error.to_string().contains("`robot_id`"), "{error}");
    let error = client.verify_robot(&credentials).await.unwrap_err();
    assert_eq!(error.to_string(), "POST /internal/v1/auth/robot/verify: DDS answered 403 Forbidden");
    let seen = mock.requests();
    assert_eq!(seen[0].target, "/internal/v1/robots/register");
    assert_eq!(
        seen[0].json(),
        json!({"registration_credentials": "hunter2", "version": "1.0", "capabilities": ["/a/v1"]})
    );
    assert_eq!(seen[1].target, "/internal/v1/auth/robot/verify");
    assert_eq!(seen[1].json(), json!({"registration_credentials": "hunter2"}));
}

#[tokio::test]
async fn a_dds_that_is_not_there_or_redirects_is_an_error() {
    let gone = MockServer::start(|_, _| Reply::status(200)).await.url();
    let client = DdsClient::new(gone, TIMEOUT).unwrap();
    assert!(matches!(client.nonce("0xaa").await, Err(DdsError::Transport { .. })));

    let mock = MockServer::start(|_, _| Reply::status(302).header("location", "/elsewhere")).await;
    let client = DdsClient::new(mock.url(), TIMEOUT).unwrap();
    let error = client.nonce("0xaa").await.unwrap_err();
    assert_eq!(error.status(), Some(http::StatusCode::FOUND));
    assert_eq!(mock.requests().len(), 1, "redirects are not followed");
}

#[tokio::test]
async fn a_dds_that_does_not_answer_runs_into_the_timeout() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let client = DdsClient::new(base, Duration::from_millis(50)).unwrap();
    let error = client.nonce("0xaa").await.unwrap_err();
    assert!(error.to_string().contains("timed out"), "{error}");
}

#[tokio::test]
async fn retry_after_is_heard_as_seconds_and_as_a_date() {
    let date = time::OffsetDateTime::now_utc() + Duration::from_secs(90);
    let date = date.format(&time::format_description::well_known::Rfc2822).unwrap().replace("+0000", "GMT");
    for (text, least, most) in [("7".to_owned(), 7, 7), (date, 85, 91), ("999999".to_owned(), 3600, 3600)] {
        for status in [429, 503, 403] {
            let text = text.clone();
            let answer = verify_answered(move || Reply::status(status).header("retry-after", &text)).await;
            let error = answer.unwrap_err();
            let asked = error.retry_after().unwrap().as_secs();
            assert!((least..=most).contains(&asked), "{status}: {asked}");
            assert_eq!(LoginError::from(error).retry_after.unwrap().as_secs(), asked);
        }
    }
    assert_eq!(verify_answered(|| Reply::status(503)).await.unwrap_err().retry_after(), None);
}

#[tokio::test]
async fn a_blank_access_expires_at_is_the_same_as_a_missing_one() {
    let blank = || {
        Reply::json(
            &json!({"access_token": "t", "access_expires_at": " ", "expires_at": "2026-01-01T00:00:00Z"}),
        )
    };
    assert_eq!(verify_answered(blank).await.unwrap().expires_at, datetime!(2026-01-01 0:00 UTC));
}
