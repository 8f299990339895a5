//! The node that runs already, if one does; and the status server's address: whether a node could listen there.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::finding::{Area, Finding, Report};
use super::running::{Running, by_address, by_sockets};
use crate::config::Config;

pub(super) async fn examine(config: &Config, report: Report<'_>) {
    let running = by_sockets(config).await;
    for node in &running {
        node.tell(report).await;
    }
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
        Err(error) if error.kind() == ErrorKind::AddrInUse => taken(config, addr, &running, report).await,
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
async fn taken(config: &Config, addr: SocketAddr, running: &[Running], report: Report<'_>) {
    let cure = "choose a free one, or end who has it (`ss -ltnp` names it)";
    let finding = match by_address(config, addr).await {
        Some(found) if running.iter().any(|one| one.node.pid == found.node.pid) => {
            Finding::ok(Area::Status, format_args!("STATUS_ADDR={addr} is the running node's"))
        }
        // Of a node whose socket this user can't open, or that has none.
        Some(found) if found.node.is_of(&config.paths.plugins) => return found.tell(report).await,
        Some(found) => Finding::error(
            Area::Status,
            format_args!(
                "STATUS_ADDR={addr} is taken by another node: process {}, PLUGINS_DIR {}",
                found.node.pid,
                found.node.plugins_dir.display()
            ),
            cure,
        ),
        None => {
            Finding::error(Area::Status, format_args!("STATUS_ADDR={addr} is taken by another program"), cure)
        }
    };
    report(finding);
}
