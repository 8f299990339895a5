//! Uploads in parts.

use std::time::Duration;

use posemesh_devnet::SessionStatus;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Node, start};
use crate::storage::Domain;

/// Begins an upload session; returns its id.
async fn begin(domain: &Domain, name: &str, size: Option<u64>, existing: Option<Uuid>) -> String {
    let body = json!({"name": name, "data_type": "bin", "size": size,
        "content_type": "application/octet-stream", "existing_id": existing});
    let (status, text) = domain.send(Method::POST, "/multipart?uploads", body.to_string()).await;
    assert_eq!(status, 200, "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["part_size"], 4);
    answer["upload_id"].as_str().unwrap().to_owned()
}

async fn part(domain: &Domain, upload: &str, number: usize, bytes: &'static str) -> (u16, Value) {
    let rest = format!("/multipart?uploadId={upload}&partNumber={number}");
    let (status, text) = domain.send(Method::PUT, &rest, bytes).await;
    let etag = serde_json::from_str::<Value>(&text).map(|answer| answer["etag"].clone());
    (status, json!({"part_number": number, "etag": etag.unwrap_or_default()}))
}

async fn complete(domain: &Domain, upload: &str, parts: &[Value]) -> (u16, Value) {
    let rest = format!("/multipart?uploadId={upload}");
    let (status, text) = domain.send(Method::POST, &rest, json!({"parts": parts}).to_string()).await;
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test]
async fn parts_come_in_any_order_and_at_the_same_time() {
    let devnet = start(|config| config.part_size = 4).await;
    let node = Node::log_in(&devnet).await;
    let domain = Domain::open(&devnet, &node).await;
    let upload = begin(&domain, "whole", Some(10), None).await;
    let third = part(&domain, &upload, 3, "89").await;
    let (first, second) = tokio::join!(part(&domain, &upload, 1, "0123"), part(&domain, &upload, 2, "wrong"));
    assert_eq!((first.0, second.0, third.0), (200, 413, 200), "a part has at most part_size bytes");
    let second = part(&domain, &upload, 2, "xxxx").await;
    let again = part(&domain, &upload, 2, "4567").await;

    let old = complete(&domain, &upload, &[first.1.clone(), second.1, third.1.clone()]).await;
    assert_eq!(old.0, 400, "the etag of a part that was sent again is another: {}", old.1);
    let gap = complete(&domain, &upload, &[first.1.clone(), third.1.clone()]).await;
    assert_eq!(gap.0, 400, "{}", gap.1);
    let short = complete(&domain, &upload, &[first.1.clone(), again.1.clone()]).await;
    assert_eq!(short.0, 400, "10 bytes were announced: {}", short.1);

    let (status, item) = complete(&domain, &upload, &[first.1, again.1, third.1]).await;
    assert_eq!((status, &item["size"]), (200, &json!(10)), "{item}");
    let id: Uuid = item["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(&devnet.read_data(id).await.unwrap()[..], b"0123456789");
    assert_eq!(complete(&domain, &upload, &[]).await.0, 404, "a session ends once");
    let session = &devnet.multipart_sessions()[0];
    assert_eq!(session.status, SessionStatus::Completed(id));
    let seen: Vec<(u32, u64)> = session.parts.iter().map(|part| (part.number, part.size)).collect();
    assert_eq!(seen, [(3, 2), (1, 4), (2, 4), (2, 4)]);
}

#[tokio::test]
async fn a_session_replaces_data_by_id_or_by_name() {
    let devnet = start(|config| config.part_size = 4).await;
    let node = Node::log_in(&devnet).await;
    let domain = Domain::open(&devnet, &node).await;
    let id = devnet.put_data("known", "bin", "old").await.unwrap();
    for (name, existing, bytes) in [("", Some(id), "new"), ("known", None, "more")] {
        let upload = begin(&domain, name, None, existing).await;
        let (_, sent) = part(&domain, &upload, 1, bytes).await;
        let (status, item) = complete(&domain, &upload, &[sent]).await;
        assert_eq!((status, &item["id"], &item["name"]), (200, &json!(id), &json!("known")));
        assert_eq!(devnet.read_data(id).await.unwrap(), bytes);
    }
    let unknown = json!({"name": "n", "data_type": "t", "existing_id": Uuid::new_v4()});
    assert_eq!(domain.send(Method::POST, "/multipart?uploads", unknown.to_string()).await.0, 404);
}

#[tokio::test]
async fn sessions_can_be_aborted_and_expire() {
    let devnet = start(|config| {
        config.part_size = 4;
        config.upload_session_ttl = Duration::from_secs(3600);
    })
    .await;
    let node = Node::log_in(&devnet).await;
    let domain = Domain::open(&devnet, &node).await;
    let upload = begin(&domain, "a", None, None).await;
    let (_, sent) = part(&domain, &upload, 1, "x").await;
    assert_eq!(domain.send(Method::DELETE, &format!("/multipart?uploadId={upload}"), "").await.0, 200);
    assert_eq!(part(&domain, &upload, 2, "y").await.0, 404);
    assert_eq!(complete(&domain, &upload, &[sent]).await.0, 404);
    assert_eq!(devnet.multipart_sessions()[0].status, SessionStatus::Aborted);

    let devnet = start(|config| {
        config.part_size = 4;
        config.upload_session_ttl = Duration::ZERO;
    })
    .await;
    let node = Node::log_in(&devnet).await;
    let domain = Domain::open(&devnet, &node).await;
    let upload = begin(&domain, "a", None, None).await;
    assert_eq!(part(&domain, &upload, 1, "x").await.0, 404);
    devnet.sweep();
    assert_eq!(devnet.multipart_sessions()[0].status, SessionStatus::Expired);
}

#[tokio::test]
async fn sessions_can_be_disabled() {
    let devnet = start(|config| {
        config.multipart_enabled = false;
        config.multipart_disabled_status = 501;
    })
    .await;
    let node = Node::log_in(&devnet).await;
    let domain = Domain::open(&devnet, &node).await;
    assert_eq!(domain.send(Method::POST, "/multipart?uploads", "{}").await.0, 501);
}
