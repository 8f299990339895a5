//! The status server's address: whether the node could listen there, or does already.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use posemesh_net::http::{client_builder, read_body};
use posemesh_text::one_line;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;

use super::finding::{Area, Finding, Report};
use crate::config::Config;
use crate::status::NodeIdentity;

/// How long whoever has the address may take to say who it is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of the longest answer that is read.
const MAX_ANSWER: usize = 1 << 20;
/// How much of what a node says of itself is shown, in bytes, and how many lines of it.
const SHOWN_BYTES: usize = 500;
const SHOWN_LINES: usize = 16;

/// What a node says to `GET /ready`. Nothing of it is there for somebody who may not read it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Ready {
    missing: Vec<String>,
    warnings: Vec<String>,
}

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
        Err(error) if error.kind() == ErrorKind::AddrInUse => taken(config, addr, report).await,
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

/// Who has the address: this node, if it has the same runners. It knows more of itself than is seen from outside: the answer of
/// DDS to its registration, the limits of its process.
async fn taken(config: &Config, addr: SocketAddr, report: Report<'_>) {
    let cure = "choose a free one, or end who has it (`ss -ltnp` names it)";
    let finding = match asked::<NodeIdentity>(config, addr, "/api/node").await {
        Some(node) if node.is_of(&config.paths.plugins) => {
            report(Finding::ok(
                Area::Status,
                format_args!("the node runs: process {}, version {}", node.pid, node.version),
            ));
            let Ready { missing, warnings } = asked(config, addr, "/ready").await.unwrap_or_default();
            for text in missing.iter().take(SHOWN_LINES) {
                let text = one_line(text, SHOWN_BYTES);
                report(Finding::error(
                    Area::Status,
                    format_args!("the node that runs is not ready: {text}"),
                    "",
                ));
            }
            for text in warnings.iter().take(SHOWN_LINES) {
                let text = one_line(text, SHOWN_BYTES);
                report(Finding::warning(Area::Status, format_args!("the node that runs says: {text}"), ""));
            }
            return;
        }
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
    };
    report(finding);
}

/// What whoever has the address answers at a path.
async fn asked<T: DeserializeOwned>(config: &Config, addr: SocketAddr, path: &str) -> Option<T> {
    let client = client_builder().no_proxy().timeout(ANSWER_TIMEOUT).build().ok()?;
    // Who listens everywhere is reached here, by a name that it takes for its own.
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let mut request = client.get(format!("http://{}{path}", SocketAddr::new(ip, addr.port())));
    // Whoever has the address may be another than the node: on this machine it needs no token.
    if let Some(token) = config.status.status_token.as_ref().filter(|_| !ip.is_loopback()) {
        request = request.bearer_auth(token.expose());
    }
    let response = request.send().await.ok()?;
    serde_json::from_slice(&read_body(response, MAX_ANSWER).await.ok()?).ok()
}
