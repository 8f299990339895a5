//! Which requests a client sends to a proxy.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use posemesh_net::http::client_builder;
use posemesh_net::network::Network;
use posemesh_net::proxy::Proxies;
use posemesh_net::roots::TrustRoots;

use crate::plain_server::PlainServer;

#[path = "support/plain_server.rs"]
mod plain_server;

#[tokio::test]
async fn a_request_to_this_machine_does_not_reach_the_proxy_and_others_do() {
    let proxy = PlainServer::start(299).await;
    let server = PlainServer::start(204).await;
    let address = format!("http://me:hunter2@{}", proxy.addr).parse().unwrap();
    let proxies = Arc::new(Proxies::new(Some(address), None, ""));
    Network { proxies, roots: Some(Arc::new(TrustRoots::default())) }.install();
    let client = client_builder().build().unwrap();

    assert_eq!(client.get(format!("http://{}/", server.addr)).send().await.unwrap().status(), 204);
    let by_name = format!("http://localhost:{}/", server.addr.port());
    assert_eq!(client.get(by_name).send().await.unwrap().status(), 204);
    assert!(proxy.heads.lock().unwrap().is_empty(), "loopback went through the proxy");

    assert_eq!(client.get("http://dds.example/x").send().await.unwrap().status(), 299);
    let heads = proxy.heads.lock().unwrap().join("");
    assert!(heads.contains("proxy-authorization: basic"), "{heads}");
    assert_eq!(server.heads.lock().unwrap().len(), 2);
}
