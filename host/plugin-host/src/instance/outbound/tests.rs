#![allow(clippy::unwrap_used)]

use std::pin::Pin;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use posemesh_http_mock::{MockServer, Reply};
use tracing::Span;

use super::*;

/// A server on loopback that echoes, redirects, and answers `/slow` never.
async fn server() -> MockServer {
    MockServer::start(|request, _| match request.path() {
        "/echo" => Reply::bytes("application/octet-stream", request.body.clone()),
        "/away" => Reply::status(307).header("location", "http://169.254.169.254/"),
        _ => Reply::never(),
    })
    .await
}

fn outbound(public: &[String], private: &[String], limits: Limits) -> Outbound {
    let rules = |texts: &[String]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let log = RunnerLog::new(1 << 20, Span::none());
    Outbound { hosts: rules(public), private_hosts: rules(private), ..Outbound::closed(&limits, log) }
}

/// The status and the body, or the error that the guest gets.
async fn send(outbound: &mut Outbound, uri: &str, body: &[u8]) -> Result<(u16, Bytes), Error> {
    let content = Full::new(Bytes::copy_from_slice(body)).map_err(|never| match never {}).boxed_unsync();
    let request = http::Request::post(uri).body(content).unwrap();
    let request =
        if body.is_empty() { http::Request::get(uri).body(request.into_body()).unwrap() } else { request };
    let (answer, _) =
        Pin::from(outbound.send_request(request, None, Box::new(std::future::ready(Ok(()))))).await?;
    let status = answer.status().as_u16();
    Ok((status, answer.into_body().collect().await?.to_bytes()))
}

#[tokio::test]
async fn nothing_is_reached_without_a_grant() {
    let server = server().await;
    let address = server.address();
    let mut outbound = outbound(&["example.com".to_owned()], &[], Limits::default());
    let error = send(&mut outbound, &format!("http://{address}/echo"), b"").await.unwrap_err();
    assert!(matches!(error, Error::HttpRequestDenied), "{error}");
    let error = send(&mut outbound, "ftp://example.com/", b"").await.unwrap_err();
    assert!(matches!(error, Error::HttpProtocolError), "{error}");
}

#[tokio::test]
async fn a_granted_host_at_a_private_address_is_refused_however_it_is_written() {
    let server = server().await;
    let port = server.address().port();
    let hosts = ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254"];
    let rules: Vec<String> = hosts.iter().map(|host| format!("{host}:{port}")).collect();
    let mut outbound = outbound(&rules, &[], Limits::default());
    for host in hosts.iter().chain(&["0x7f000001", "2130706433", "127.1", "LOCALHOST", "localhost."]) {
        let error = send(&mut outbound, &format!("http://{host}:{port}/echo"), b"").await.unwrap_err();
        assert!(matches!(error, Error::DestinationIpProhibited), "{host}: {error}");
    }
}

#[tokio::test]
async fn what_the_operator_lets_through_is_reached_both_ways() {
    let server = server().await;
    let port = server.address().port();
    let mut outbound = outbound(&[], &[format!("localhost:{port}")], Limits::default());
    let (status, body) =
        send(&mut outbound, &format!("http://localhost:{port}/echo"), b"ping").await.unwrap();
    assert_eq!((status, &*body), (200, b"ping".as_slice()));
    let error = send(&mut outbound, &format!("http://127.0.0.1:{port}/echo"), b"").await.unwrap_err();
    assert!(matches!(error, Error::HttpRequestDenied), "only by the name that was granted: {error}");
}

#[tokio::test]
async fn a_redirect_is_handed_over_and_not_followed() {
    let server = server().await;
    let address = server.address();
    let mut outbound = outbound(&[], &[address.to_string()], Limits::default());
    let (status, _) = send(&mut outbound, &format!("http://{address}/away"), b"").await.unwrap();
    assert_eq!(status, 307);
}

#[tokio::test]
async fn requests_bytes_and_time_are_bounded_and_the_limit_is_named() {
    let server = server().await;
    let address = server.address();
    let with = |limits| outbound(&[], &[address.to_string()], limits);
    let echo = format!("http://{address}/echo");

    let mut few = with(Limits { http_requests: 1, ..Limits::default() });
    send(&mut few, &echo, b"").await.unwrap();
    let error = send(&mut few, &echo, b"").await.unwrap_err().to_string();
    assert!(error.contains("`http_requests` of 1"), "{error}");

    // 60 bytes there are within the budget, and 60 back are not.
    let mut small = with(Limits { http_bytes: 100, ..Limits::default() });
    let error = send(&mut small, &echo, &[b'x'; 60]).await.unwrap_err().to_string();
    assert!(error.contains("`http_bytes` of 100"), "{error}");
    let mut small = with(Limits { http_bytes: 10, ..Limits::default() });
    let error = send(&mut small, &echo, &[b'x'; 60]).await.unwrap_err().to_string();
    assert!(error.contains("`http_bytes` of 10"), "{error}");

    let mut hasty = with(Limits { http_timeout_ms: 200, ..Limits::default() });
    let error = send(&mut hasty, &format!("http://{address}/slow"), b"").await.unwrap_err();
    assert!(matches!(error, Error::ConnectionTimeout | Error::ConnectionReadTimeout), "{error}");
}
