#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::auth::dds::DdsError;
use crate::registration::settings::RegistrationSettings;
use crate::registration::task::{Registrar, RegistrationTask};

#[derive(Debug)]
struct Nobody;

#[async_trait]
impl Registrar for Nobody {
    async fn register(&self, _: &[String]) -> Result<(), DdsError> {
        std::future::pending().await
    }

    fn version(&self) -> &str {
        "1.0.0"
    }
}

struct Running {
    registration: Registration,
    url: String,
    client: reqwest::Client,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn start() -> Running {
    let none = watch::Sender::new(BTreeSet::new());
    let (registration, _) =
        RegistrationTask::new(Arc::new(Nobody), none.subscribe(), RegistrationSettings::default());
    let server = LegacyServer::bind("127.0.0.1:0".parse().unwrap(), registration.clone()).await.unwrap();
    let url = format!("http://{}", server.addr().unwrap());
    let stop = CancellationToken::new();
    let task = tokio::spawn(server.run(stop.clone()));
    let client = posemesh_net::http::client_builder().no_proxy().build().unwrap();
    Running { registration, url, client, stop, task }
}

impl Running {
    async fn callback(&self, content_type: Option<&str>, body: impl Into<reqwest::Body>) -> (u16, String) {
        let mut request = self.client.post(format!("{}/internal/v1/registrations", self.url)).body(body);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn json(&self, body: &Value) -> (u16, String) {
        self.callback(Some("application/json"), body.to_string()).await
    }
}

#[tokio::test]
async fn s1_10_a_callback_opens_the_login_and_is_answered_ok() {
    let running = start().await;
    assert!(
        tokio::time::timeout(Duration::from_millis(50), running.registration.login_open()).await.is_err()
    );
    let body = json!({"id": "n1", "secret": "hunter2", "organization_id": "o", "domains": [1],
        "lighthouses_in_domains": {"x": null}, "more": true});
    assert_eq!(running.json(&body).await, (200, r#"{"ok":true}"#.to_owned()));
    running.registration.login_open().await;
    running.stop.cancel();
    running.task.await.unwrap();
}

#[tokio::test]
async fn s1_10_every_refusal_of_a_callback() {
    let running = start().await;
    for (body, status, text) in [
        (json!({"id": " ", "secret": "s"}), 422, "missing id"),
        (json!({"id": "n1", "secret": "\t"}), 422, "missing secret"),
        (json!({"id": " ", "secret": ""}), 422, "missing id"),
        (json!({"id": "n1", "secret": "s".repeat(4097)}), 403, "secret too large"),
        (json!({"id": 1, "secret": "s"}), 422, "missing or wrongly typed field"),
        (json!({"id": "n1"}), 422, "missing or wrongly typed field"),
        (json!({"id": "n1", "secret": "s", "organization_id": 7}), 422, "missing or wrongly typed field"),
        (json!([]), 422, "not a JSON object"),
    ] {
        assert_eq!(running.json(&body).await, (status, text.to_owned()), "{body}");
    }
    assert_eq!(running.json(&json!({"id": "n1", "secret": "s".repeat(4096)})).await.0, 200);
    assert_eq!(running.callback(Some("application/json"), "{").await.0, 400);
    assert_eq!(running.callback(Some("text/plain"), "{}").await.0, 415);
    assert_eq!(running.callback(None, "{}").await.0, 415);
    let charset = Some("application/json; charset=utf-8");
    assert_eq!(running.callback(charset, r#"{"id":"n1","secret":"s"}"#).await.0, 200);
    let large = json!({"id": "n1", "secret": "s", "domains": "x".repeat(2 << 20)}).to_string();
    assert_eq!(running.callback(charset, large.clone()).await.0, 413, "by its length");
    let chunks: Vec<_> =
        large.as_bytes().chunks(1 << 16).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
    let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    assert_eq!(running.callback(charset, stream).await.0, 413, "without a length");
}

#[tokio::test]
async fn s1_10_health_is_always_200() {
    let running = start().await;
    let get = async |agent: &'static str| {
        let request = running.client.get(format!("{}/health", running.url)).header("user-agent", agent);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get("curl/8").await, (200, String::new()));
    assert_eq!(get("DDS v1.2.3").await, (200, String::new()));
}

#[tokio::test]
async fn s1_10_other_methods_are_405_and_other_paths_404() {
    let running = start().await;
    for (method, path, status) in [
        ("POST", "/health", 405),
        ("GET", "/internal/v1/registrations", 405),
        ("GET", "/", 404),
        ("POST", "/internal/v1/registrations/x", 404),
    ] {
        let request = running.client.request(method.parse().unwrap(), format!("{}{path}", running.url));
        assert_eq!(request.send().await.unwrap().status().as_u16(), status, "{method} {path}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_told_with_the_variable() {
    let running = start().await;
    let addr = running.url.trim_start_matches("http://").parse().unwrap();
    let error = LegacyServer::bind(addr, running.registration.clone()).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("listen on LEGACY_HTTP_ADDR={addr}: ")), "{error}");
}
