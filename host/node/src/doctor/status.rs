//! The status server's address: whether the node could listen there, or does already.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use posemesh_net::http::{client_builder, read_body};
use tokio::net::TcpListener;

use super::finding::{Area, Finding, Report};
use crate::config::Config;
use crate::status::NodeIdentity;

/// How long whoever has the address may take to say who it is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of the longest answer that is read.
const MAX_ANSWER: usize = 1 << 20;

pub(super) async fn examine(config: &Config, report: Report<'_>) {
    let Some(addr) = config.status.addr else {
        report(Finding::ok(Area::Status, "STATUS_ADDR=off: there is no status server"));
        return;
    };
    let obstacles = config.obstacles();
    for obstacle in obstacles.iter().filter(|obstacle| obstacle.variable.ends_with("_ADDR")) {
        let text = format!("{}={}: {}", obstacle.variable, obstacle.value, obstacle.what);
        report(Finding::error(Area::Status, text, obstacle.cure));
    }
    if obstacles.iter().any(|obstacle| obstacle.variable == "STATUS_ADDR") {
        return;
    }
    match TcpListener::bind(addr).await {
        Ok(_) => {
            report(Finding::ok(Area::Status, format_args!("STATUS_ADDR={addr} is free: no node runs there")))
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => report(taken(config, addr).await),
        Err(error) => report(Finding::error(
            Area::Status,
            format_args!("STATUS_ADDR={addr} can't be listened on: {error}"),
            "choose a port from 1024 on, or let this user take lower ones (CAP_NET_BIND_SERVICE)",
        )),
    }
    if !addr.ip().is_loopback() {
        report(Finding::warning(
            Area::Status,
            format_args!("STATUS_ADDR={addr} is reached from other machines, without encryption"),
            "choose 127.0.0.1 with a proxy before it that asks who it is, or close the port to strangers",
        ));
    }
}

/// Who has the address: this node, if it has the same runners.
async fn taken(config: &Config, addr: SocketAddr) -> Finding {
    let cure = "choose a free one, or end who has it (`ss -ltnp` names it)";
    match who(config, addr).await {
        Some(node) if node.is_of(&config.paths.plugins) => Finding::ok(
            Area::Status,
            format_args!("the node runs: process {}, version {}", node.pid, node.version),
        ),
        Some(node) => Finding::error(
            Area::Status,
            format_args!(
                "STATUS_ADDR={addr} is taken by another node: process {}, PLUGINS_DIR {}",
                node.pid,
                node.plugins_dir.display()
            ),
            cure,
        ),
        None => {
            Finding::error(Area::Status, format_args!("STATUS_ADDR={addr} is taken by another program"), cure)
        }
    }
}

async fn who(config: &Config, addr: SocketAddr) -> Option<NodeIdentity> {
    let client = client_builder().no_proxy().timeout(ANSWER_TIMEOUT).build().ok()?;
    // Who listens everywhere is reached here, by a name that it takes for its own.
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let mut request = client.get(format!("http://{}/api/node", SocketAddr::new(ip, addr.port())));
    // Whoever has the address may be another than the node: on this machine it needs no token.
    if let Some(token) = config.status.status_token.as_ref().filter(|_| !ip.is_loopback()) {
        request = request.bearer_auth(token.expose());
    }
    let response = request.send().await.ok()?;
    serde_json::from_slice(&read_body(response, MAX_ANSWER).await.ok()?).ok()
}
