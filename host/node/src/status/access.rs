//! Who may ask for what.
//!
//! | caller | may |
//! | --- | --- |
//! | the node's user or root, by its Unix socket | command and read |
//! | anybody with the `ADMIN_TOKEN` | command and read |
//! | anybody with the `STATUS_TOKEN`; on this machine, by a loopback address and name, anybody | read |
//! | anybody else | ask for `/health`, `/metrics`, and whether `/ready` |

use std::net::SocketAddr;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::Response;
use posemesh_net::secret::Secret;
use posemesh_net::url::is_loopback;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::answer::error;
use super::sources::StatusSources;
use crate::http_server::Peer;

/// What a caller may do, from the least on. An extension of each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    /// See whether the node lives, is ready, and its metrics.
    Probe,
    /// Read everything but the log of the node.
    Read,
    /// As [`Access::Read`], on this machine.
    ReadHere,
    /// Read and command.
    Command,
}

/// Where a request came in, and who may do what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judge<'a> {
    /// The address of the server; none for the Unix socket.
    pub(super) server: Option<SocketAddr>,
    pub(super) admin_token: Option<&'a Secret>,
    pub(super) status_token: Option<&'a Secret>,
}

impl Judge<'_> {
    /// What the caller may do; none if it must not even be answered: a web page asks by a name whose DNS entry points here.
    pub(super) fn judge(self, peer: Option<Peer>, headers: &HeaderMap) -> Option<Access> {
        let Some(server) = self.server else {
            // Whoever is let in is the node's user or root.
            return Some(Access::Command);
        };
        let named_here =
            names_loopback(headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default());
        // On any other address the operator chooses the names, and the node can't know them.
        if server.ip().is_loopback() && !named_here {
            return None;
        }
        let has = |token: Option<&Secret>| token.is_some_and(|token| has_token(headers, token));
        if has(self.admin_token) {
            return Some(Access::Command);
        }
        let is_here = matches!(peer, Some(Peer::Network(addr)) if addr.ip().is_loopback());
        Some(match (is_here && named_here, has(self.status_token)) {
            (true, _) => Access::ReadHere,
            (false, true) => Access::Read,
            (false, false) => Access::Probe,
        })
    }
}

/// Whether a request carries the token.
fn has_token(headers: &HeaderMap, token: &Secret) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    // How long the comparison of the digests takes reveals nothing about the token.
    Sha256::digest(given) == Sha256::digest(token.expose())
}

/// What the caller of a request may do.
pub(super) fn access(request: &Request) -> Access {
    request.extensions().get::<Access>().copied().unwrap_or(Access::Probe)
}

/// Lets only callers through that may read.
pub(super) async fn check(State(sources): State<StatusSources>, request: Request, next: Next) -> Response {
    if access(&request) < Access::Read {
        return refused(&sources, request.uri());
    }
    next.run(request).await
}

fn refused(sources: &StatusSources, uri: &Uri) -> Response {
    let text = match sources.status_token.is_some() || sources.admin_token.is_some() {
        true => {
            "reading needs `Authorization: Bearer STATUS_TOKEN`, or a call on the machine of the node itself"
        }
        false => {
            "reading is off for other machines: start the node with a STATUS_TOKEN, or put a proxy on its machine"
        }
    };
    tracing::debug!(path = %posemesh_text::one_line(uri.path(), 200), "a call without a token was refused");
    error(StatusCode::UNAUTHORIZED, format!("{text}; /health, /ready and /metrics are open"))
}

/// Whether a `Host` header, `NAME` or `NAME:PORT`, names this machine.
fn names_loopback(host: &str) -> bool {
    // These would begin another part of the URL.
    !host.contains(['/', '\\', '?', '#', '@'])
        && Url::parse(&format!("http://{host}/")).is_ok_and(|url| is_loopback(&url))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_loopback_names_are_loopback() {
        for host in ["localhost", "LOCALHOST:8090", "127.0.0.1:8090", "127.9.9.9", "[::1]:8090"] {
            assert!(names_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example:8090",
            "localhost.evil.example",
            "10.0.0.1",
            "a b",
            "127.0.0.1/x",
            "evil.example@127.0.0.1",
            "127.0.0.1?x",
        ] {
            assert!(!names_loopback(host), "{host}");
        }
    }

    #[test]
    fn who_may_do_what_follows_from_where_they_are_and_what_they_carry() {
        let (admin, status) = (Secret::new("the admin token"), Secret::new("the status token"));
        let peer = |addr: &str| Some(Peer::Network(addr.parse().unwrap()));
        let judge = |server: Option<&str>, peer, host: &'static str, bearer: &str| {
            let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            if !bearer.is_empty() {
                headers.insert(AUTHORIZATION, format!("Bearer {bearer}").parse().unwrap());
            }
            let server = server.map(|addr| addr.parse().unwrap());
            Judge { server, admin_token: Some(&admin), status_token: Some(&status) }.judge(peer, &headers)
        };
        let (open, here) = (Some("0.0.0.0:8090"), Some("127.0.0.1:8090"));
        let (far, near) = (peer("10.0.0.7:1"), peer("127.0.0.1:1"));
        let local = Some(Peer::Local { user: 0, process: None });
        assert_eq!(judge(None, local, "anything", ""), Some(Access::Command), "by the socket");
        assert_eq!(judge(here, near, "localhost", ""), Some(Access::ReadHere));
        assert_eq!(
            judge(here, near, "evil.example", "the admin token"),
            None,
            "a web page in somebody's browser"
        );
        assert_eq!(judge(here, near, "localhost", "the admin token"), Some(Access::Command));
        assert_eq!(judge(open, far, "node.example", ""), Some(Access::Probe));
        assert_eq!(judge(open, far, "localhost", ""), Some(Access::Probe), "whatever it calls the node");
        assert_eq!(judge(open, near, "localhost", ""), Some(Access::ReadHere));
        assert_eq!(judge(open, near, "evil.example", ""), Some(Access::Probe), "a web page");
        assert_eq!(judge(open, far, "node.example", "the status token"), Some(Access::Read));
        assert_eq!(judge(open, far, "node.example", "the admin token"), Some(Access::Command));
        assert_eq!(judge(open, far, "node.example", "the status toke"), Some(Access::Probe));
        assert_eq!(judge(open, None, "localhost", ""), Some(Access::Probe), "nobody knows from where");
    }
}
