//! The node that runs already with these settings: it knows more of itself than is seen from outside, the answer of DDS to its
//! registration, the limits of its process. It is asked by its control socket, as commands on this machine do, or by its
//! address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use posemesh_net::http::{client_builder, read_body};
use posemesh_text::one_line;
use reqwest::{Client, ClientBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;

use super::finding::{Area, Finding, Report};
use crate::config::Config;
use crate::control::{ShortAddress, SocketPlace, sockets_below};
use crate::status::NodeIdentity;

/// How long whoever is asked may take to say who it is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of the longest answer that is read.
const MAX_ANSWER: usize = 1 << 20;
/// How much of what a node says of itself is shown, in bytes, and how many lines of it.
const SHOWN_BYTES: usize = 500;
const SHOWN_LINES: usize = 16;
/// How many sockets are asked: those of dead processes refuse at once.
const MOST_SOCKETS: usize = 64;

/// A way to a node, and which node it is.
pub(super) struct Running {
    pub(super) node: NodeIdentity,
    door: Door,
}

struct Door {
    client: Client,
    /// What paths are put behind.
    base: String,
    /// The bearer that is sent.
    token: Option<String>,
    /// Holds what the client's path leads through.
    _address: Option<ShortAddress>,
}

/// What a node says to `GET /ready`. Nothing of it is there for somebody who may not read it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Ready {
    missing: Vec<String>,
    warnings: Vec<String>,
}

impl Door {
    fn new(client: ClientBuilder, base: String) -> Option<Self> {
        let client = client.no_proxy().timeout(ANSWER_TIMEOUT).build().ok()?;
        Some(Self { client, base, token: None, _address: None })
    }

    /// What is answered at a path.
    async fn asked<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        let mut request = self.client.get(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.ok()?;
        serde_json::from_slice(&read_body(response, MAX_ANSWER).await.ok()?).ok()
    }

    async fn running(self) -> Option<Running> {
        Some(Running { node: self.asked("/api/node").await?, door: self })
    }
}

/// The nodes with this configuration's folders, by their control sockets.
pub(super) async fn by_sockets(config: &Config) -> Vec<Running> {
    let (place, work) = (config.status.socket.clone(), config.paths.work.clone());
    let paths = spawn_blocking(move || match place {
        SocketPlace::At(path) => vec![path],
        SocketPlace::Own => sockets_below(&work),
        SocketPlace::Off => Vec::new(),
    });
    let mut found = Vec::new();
    for path in paths.await.unwrap_or_default().into_iter().take(MOST_SOCKETS) {
        let Ok(address) = ShortAddress::of(&path) else { continue };
        let client = client_builder().unix_socket(address.path());
        let door = Door::new(client, "http://localhost".to_owned());
        let Some(door) = door.map(|door| Door { _address: Some(address), ..door }) else { continue };
        found.extend(door.running().await.filter(|one| one.node.is_of(&config.paths.plugins)));
    }
    found
}

/// The node at this address, whichever it is; none if another program has it.
pub(super) async fn by_address(config: &Config, addr: SocketAddr) -> Option<Running> {
    // Who listens everywhere is reached here, by a name that it takes for its own.
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let door = Door::new(client_builder(), format!("http://{}", SocketAddr::new(ip, addr.port())))?;
    // Whoever has the address may be another than the node: on this machine it needs no token.
    let token = config.status.status_token.as_ref().filter(|_| !ip.is_loopback());
    Door { token: token.map(|token| token.expose().to_owned()), ..door }.running().await
}

impl Running {
    /// Tells that it runs, and what it misses.
    pub(super) async fn tell(&self, report: Report<'_>) {
        let NodeIdentity { pid, version, .. } = &self.node;
        report(Finding::ok(Area::Status, format_args!("the node runs: process {pid}, version {version}")));
        let Ready { missing, warnings } = self.door.asked("/ready").await.unwrap_or_default();
        for text in missing.iter().take(SHOWN_LINES) {
            let text = one_line(text, SHOWN_BYTES);
            report(Finding::error(Area::Status, format_args!("the node that runs is not ready: {text}"), ""));
        }
        for text in warnings.iter().take(SHOWN_LINES) {
            let text = one_line(text, SHOWN_BYTES);
            report(Finding::warning(Area::Status, format_args!("the node that runs says: {text}"), ""));
        }
    }
}
