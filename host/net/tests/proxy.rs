//! Which requests a client sends to a proxy.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use posemesh_http_mock::{MockServer, Reply};
use posemesh_net::http::client_builder;
use posemesh_net::network::Network;
use posemesh_net::proxy::Proxies;
use posemesh_net::roots::TrustRoots;

#[tokio::test]
async fn a_request_to_this_machine_does_not_reach_the_proxy_and_others_do() {
    let proxy = MockServer::start(|_, _| Reply::status(299)).await;
    let server = MockServer::start(|_, _| Reply::status(204)).await;
    let address = format!("http://me:hunter2@{}", proxy.address()).parse().unwrap();
    let proxies = Arc::new(Proxies::new(Some(address), None, ""));
    Network { proxies, roots: Some(Arc::new(TrustRoots::default())) }.install();
    let client = client_builder().build().unwrap();

    assert_eq!(client.get(server.url()).send().await.unwrap().status(), 204);
    let by_name = format!("http://localhost:{}/", server.address().port());
    assert_eq!(client.get(by_name).send().await.unwrap().status(), 204);
    assert!(proxy.requests().is_empty(), "loopback went through the proxy");

    assert_eq!(client.get("http://dds.example/x").send().await.unwrap().status(), 299);
    let seen = proxy.requests();
    assert_eq!(seen.first().map(|seen| seen.header("proxy-authorization").is_empty()), Some(false));
}
