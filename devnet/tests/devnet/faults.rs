//! Injected failures, as a client sees them.

use std::time::{Duration, Instant};

use posemesh_devnet::{Endpoint, Fault, TaskStatus};
use reqwest::Method;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::SOON;
use crate::client::{Node, http, job, start};
use crate::storage::Domain;

#[tokio::test]
async fn answers_can_be_replaced() {
    let devnet = start(|_| {}).await;
    let node = Node::log_in(&devnet).await;
    let fault = devnet.faults().add(Fault::answer(503, "busy").on(Endpoint::Lease).skip(1).times(2));
    devnet.submit_job(job()).unwrap();
    let statuses = [node.lease().await.0, node.lease().await.0, node.lease().await.0, node.lease().await.0];
    assert_eq!(statuses, [200, 503, 503, 409]);
    assert_eq!(devnet.faults().hits(fault), Some(2));
    let hit = devnet.requests().into_iter().filter(|request| request.faults.contains(&fault));
    assert_eq!(hit.map(|request| request.status).collect::<Vec<_>>(), [Some(503), Some(503)]);
}

#[tokio::test]
async fn connections_break_before_or_after_the_request_has_effect() {
    let devnet = start(|_| {}).await;
    let node = Node::log_in(&devnet).await;
    let id = devnet.submit_job(job()).unwrap().tasks[0];
    node.lease().await;
    let complete = || {
        let body = json!({"output_cids": []}).to_string();
        node.request(Method::POST, &format!("/tasks/{id}/complete")).body(body).send()
    };
    let fault = devnet.faults().add(Fault::drop_before().on(Endpoint::Complete));
    assert!(complete().await.is_err(), "there must be no answer");
    assert_eq!(devnet.task(id).unwrap().status, TaskStatus::Leased);
    assert!(devnet.faults().remove(fault));
    devnet.faults().add(Fault::drop_after().on(Endpoint::Complete).path_contains(id.to_string()));
    assert!(complete().await.is_err(), "there must be no answer");
    assert_eq!(devnet.task(id).unwrap().status, TaskStatus::Completed);
    let last = devnet.requests().pop().unwrap();
    assert_eq!((last.endpoint, last.status), (Some(Endpoint::Complete), None));
    devnet.faults().clear();
    assert_eq!(complete().await.unwrap().status(), 409);
}

#[tokio::test]
async fn bodies_can_be_cut_short() {
    let devnet = start(|_| {}).await;
    let node = Node::log_in(&devnet).await;
    let domain = Domain::open(&devnet, &node).await;
    let data = vec![1; 1_000_000];
    let id = devnet.put_data("d", "t", &data).await.unwrap();
    let read = || async {
        let mut response = domain.request(Method::GET, &format!("/{id}?raw=true")).send().await.unwrap();
        let mut got = 0;
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => got += chunk.len(),
                Ok(None) => return (got, true),
                Err(_) => return (got, false),
            }
        }
    };
    assert_eq!(read().await, (1_000_000, true));
    let fault = devnet.faults().add(Fault::truncate(600_000).on(Endpoint::GetRawData));
    let (got, whole) = read().await;
    assert!(!whole && (590_000..=600_000).contains(&got), "got {got} bytes, whole: {whole}");
    devnet.faults().remove(fault);
    devnet.faults().add(Fault::truncate_cleanly(600_000).on(Endpoint::GetRawData));
    assert_eq!(read().await, (600_000, true));
}

#[tokio::test]
async fn answers_can_be_late_slow_or_garbled() {
    let devnet = start(|_| {}).await;
    let node = Node::log_in(&devnet).await;
    let id = devnet.submit_job(job()).unwrap().tasks[0];
    let delay = Duration::from_millis(100);
    devnet.faults().add(Fault::delay_before(delay).on(Endpoint::Lease));
    devnet.faults().add(Fault::delay_after(delay).on(Endpoint::Lease));
    let begin = Instant::now();
    assert_eq!(node.lease().await.0, 200);
    assert!(begin.elapsed() >= 2 * delay, "all faults that match apply");
    devnet.faults().clear();

    devnet.faults().add(Fault::garbage(64).on(Endpoint::Heartbeat).nth(1));
    let (status, answer) = node.heartbeat(id, json!({}), json!([])).await;
    assert_eq!((status, answer), (200, json!(null)), "garbage is not JSON");
    assert_eq!(devnet.heartbeats(id).len(), 1, "but the request had its effect");

    devnet.faults().add(Fault::drip(50, Duration::from_millis(5)).on(Endpoint::Heartbeat));
    let begin = Instant::now();
    assert_eq!(node.heartbeat(id, json!({}), json!([])).await.0, 200);
    assert!(begin.elapsed() >= Duration::from_millis(25), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn the_servers_clock_can_be_wrong() {
    let devnet = start(|config| config.clock_offset_ms = 7_200_000).await;
    let response = http().get(format!("{}/health", devnet.dds_url())).send().await.unwrap();
    let date = response.headers()["date"].to_str().unwrap().to_owned();
    let ahead = OffsetDateTime::parse(&date, &Rfc2822).unwrap() - OffsetDateTime::now_utc();
    assert!((7190..=7200).contains(&ahead.whole_seconds()), "{date} should be two hours ahead");
    let node = Node::log_in(&devnet).await;
    devnet.submit_job(job()).unwrap();
    assert_eq!(node.lease().await.0, 200, "dates do not end tokens or leases");
}

#[tokio::test]
async fn a_devnet_shuts_down_although_requests_hang() {
    let devnet = start(|_| {}).await;
    devnet.faults().add(Fault::delay_before(Duration::from_secs(3600)));
    let hanging = tokio::spawn(http().get(format!("{}/health", devnet.dds_url())).send());
    devnet.wait_for_request(SOON, |request| request.endpoint == Some(Endpoint::Health)).await.unwrap();
    tokio::time::timeout(SOON, devnet.shutdown()).await.expect("shutdown should not wait for them");
    assert!(hanging.await.unwrap().is_err());
}

#[tokio::test]
async fn answers_can_be_changed_and_given_headers() {
    let devnet = start(|_| {}).await;
    let node = Node::log_in(&devnet).await;
    devnet.submit_job(job()).unwrap();
    let patch = json!({"cancel": true, "domain_server_url": null, "task": {"capability": "/other/v1"}});
    devnet.faults().add(Fault::merge(patch).on(Endpoint::Lease));
    devnet.faults().add(Fault::header(http::header::RETRY_AFTER, "7".parse().unwrap()).on(Endpoint::Lease));
    let response = node.request(Method::GET, "/tasks").send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "7");
    let lease: serde_json::Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!((&lease["cancel"], lease.get("domain_server_url")), (&json!(true), None));
    assert_eq!(lease["task"]["capability"], "/other/v1");
    assert!(lease["task"]["id"].is_string(), "what is not named stays: {lease}");
}
