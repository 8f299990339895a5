//! The way to the running node: its Unix socket, or the address of its status server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use posemesh_net::http::{client_builder, read_body};
use posemesh_node_core::control::{ShortAddress, SocketPlace, sockets_below};
use posemesh_node_core::node::NodeIdentity;
use posemesh_text::one_line;
use reqwest::Client;

/// The node answers within 300 s: a rescan waits for components that are compiled, and names those that take longer.
const TIMEOUT: Duration = Duration::from_secs(310);
/// How long a node has to say who it is. One that hangs must not keep commands from the others.
const IDENTITY_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of the longest identity that is read.
const MAX_IDENTITY_BYTES: usize = 64 << 10;
/// How much of a path is shown, in bytes.
const SHOWN_BYTES: usize = 400;
/// How many nodes are named.
const NAMED: usize = 8;

/// Which node is meant.
#[derive(Debug)]
pub(super) enum Wish {
    /// The one at this address, in so many words.
    Address(SocketAddr),
    /// The one at this socket, in so many words.
    Socket(PathBuf),
    /// The one with these settings.
    Settings {
        socket: SocketPlace,
        work_dir: Option<PathBuf>,
        /// Where its status server is; none if it is off.
        addr: Option<SocketAddr>,
        /// Whether somebody has said so: a node at another address is not the one that is meant then.
        addr_is_set: bool,
        /// `PLUGINS_DIR`, without links and relative parts; none if nothing is known.
        plugins_dir: Option<PathBuf>,
    },
}

/// A way to a node.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) client: Client,
    /// What paths are put behind.
    pub(super) base: String,
    /// For people.
    pub(super) shown: String,
    /// Whether what is said there stays on this machine.
    pub(super) is_here: bool,
    /// Whether it is the Unix socket, where nobody asks for a token.
    pub(super) is_socket: bool,
    /// Holds what the client's path leads through.
    _address: Option<ShortAddress>,
}

impl Way {
    /// The way to the node that is meant.
    ///
    /// # Errors
    /// When there is none, or more than one node can be meant.
    pub(super) async fn find(wish: &Wish) -> Result<Self> {
        match wish {
            Wish::Address(addr) => Self::by_address(*addr),
            Wish::Socket(path) => Self::by_socket(path),
            Wish::Settings { socket, work_dir, addr, addr_is_set, plugins_dir } => {
                let paths = match (socket, work_dir) {
                    (SocketPlace::At(path), _) => vec![path.clone()],
                    (SocketPlace::Own, Some(work_dir)) => sockets_below(work_dir),
                    (SocketPlace::Own, None) | (SocketPlace::Off, _) => Vec::new(),
                };
                if let Some(way) = by_sockets(&paths, plugins_dir.as_deref(), *addr, *addr_is_set).await? {
                    return Ok(way);
                }
                match addr {
                    Some(addr) => {
                        let way = Self::by_address(*addr)?;
                        Ok(way.socket_of_same(plugins_dir.as_deref()).await.unwrap_or(way))
                    }
                    None => bail!(
                        "STATUS_ADDR=off: this node can't be asked by an address, and no control socket of a running node is \
                         found{}; give the WORK_DIR with which the node was started (the one in its file may have changed since), its socket \
                         with --socket PATH, or another node's address with --status-addr IP:PORT",
                        below(work_dir.as_deref())
                    ),
                }
            }
        }
    }

    fn by_address(addr: SocketAddr) -> Result<Self> {
        // Where a server listens everywhere it is reached here, and by a name that it knows for its own.
        let ip = match addr.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let base = format!("http://{}", SocketAddr::new(ip, addr.port()));
        Ok(Self {
            client: client_builder().no_proxy().timeout(TIMEOUT).build()?,
            shown: base.clone(),
            base,
            is_here: ip.is_loopback(),
            is_socket: false,
            _address: None,
        })
    }

    fn by_socket(path: &Path) -> Result<Self> {
        let shown = one_line(path.display(), SHOWN_BYTES);
        let address = ShortAddress::of(path).with_context(|| format!("the control socket {shown}"))?;
        let client = client_builder().no_proxy().timeout(TIMEOUT).unix_socket(address.path()).build()?;
        Ok(Self {
            client,
            base: "http://localhost".to_owned(),
            shown: format!("the control socket {shown}"),
            is_here: true,
            is_socket: true,
            _address: Some(address),
        })
    }

    /// The socket of the node that answers here: its `WORK_DIR` may be another one than the settings have by now. None if the
    /// node is another one than is meant, or this user can't open its socket.
    async fn socket_of_same(&self, meant: Option<&Path>) -> Option<Self> {
        if !self.is_here {
            return None;
        }
        let node = self.identity().await.ok()?;
        if meant.is_some_and(|meant| node.plugins_dir != meant) {
            return None;
        }
        let way = Self::by_socket(node.control_socket.as_deref()?).ok()?;
        (way.identity().await.ok()?.pid == node.pid).then_some(way)
    }

    /// Which node answers.
    pub(super) async fn identity(&self) -> Result<NodeIdentity> {
        let request = self.client.get(format!("{}/api/node", self.base)).timeout(IDENTITY_TIMEOUT);
        let response = request.send().await.map_err(|error| anyhow!("{}", error.without_url()))?;
        let body = read_body(response, MAX_IDENTITY_BYTES).await?;
        serde_json::from_slice(&body).context("the answer is not one of a posemesh-node")
    }
}

/// The way by one of these sockets to the one node that is meant; none if no such node answers.
async fn by_sockets(
    paths: &[PathBuf],
    meant: Option<&Path>,
    addr: Option<SocketAddr>,
    addr_is_set: bool,
) -> Result<Option<Way>> {
    let mut found = Vec::new();
    for path in paths {
        // What a dead node left refuses; another user's is not to be opened.
        let Ok(way) = Way::by_socket(path) else { continue };
        let Ok(node) = way.identity().await else { continue };
        if meant.is_none_or(|meant| node.plugins_dir == meant) {
            found.push((node, way));
        }
    }
    if found.len() < 2 {
        let Some((node, way)) = found.pop() else { return Ok(None) };
        // Nodes may share their folders, and the one that is meant may be down.
        return match (addr, node.status_addr) {
            (Some(meant), Some(its)) if addr_is_set && meant.port() != 0 && meant != its => bail!(
                "the node that runs with this WORK_DIR and PLUGINS_DIR (process {}) has STATUS_ADDR={its}, and {meant} is \
                 meant; set STATUS_ADDR as for the node that you mean, or name that one with --socket PATH: {}",
                node.pid,
                way.shown
            ),
            _ => Ok(Some(way)),
        };
    }
    // Nodes that share their folders differ in their addresses.
    if let Some(addr) = addr
        && let Ok(node) = Way::by_address(addr)?.identity().await
        && let Some(at) = found.iter().position(|(one, _)| one.pid == node.pid)
    {
        return Ok(Some(found.swap_remove(at).1));
    }
    let named: Vec<String> =
        found.iter().take(NAMED).map(|(node, way)| format!("process {}: {}", node.pid, way.shown)).collect();
    bail!(
        "{} running nodes have this WORK_DIR and PLUGINS_DIR; say which one is meant with --socket PATH or --status-addr \
         IP:PORT:\n  {}",
        found.len(),
        named.join("\n  ")
    )
}

fn below(work_dir: Option<&Path>) -> String {
    work_dir
        .map(|dir| format!(" below WORK_DIR={}", one_line(dir.display(), SHOWN_BYTES)))
        .unwrap_or_default()
}
