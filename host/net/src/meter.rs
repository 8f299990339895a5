//! What the node's requests to its servers are like, for metrics: how many, how they ended, how long they took, and what
//! time the servers think it is. One account for the process, as for [`network`](crate::network).

mod hosts;
mod peer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use reqwest::{RequestBuilder, Response, StatusCode};

use crate::clock::skew;
use crate::histogram::{Histogram, HistogramView, Tally};

pub use hosts::{HostView, servers};
pub use peer::Peer;

/// Times of requests, in seconds.
const BOUNDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];
/// How requests end: by a status, by the class of a status that is none of these, or without an answer.
const RESULTS: [&str; 31] = [
    "200",
    "201",
    "202",
    "204",
    "206",
    "304",
    "400",
    "401",
    "403",
    "404",
    "405",
    "408",
    "409",
    "410",
    "413",
    "416",
    "422",
    "429",
    "500",
    "501",
    "502",
    "503",
    "504",
    "1xx",
    "2xx",
    "3xx",
    "4xx",
    "5xx",
    "other",
    "no_connection",
    "no_answer",
];

impl Peer {
    fn account(self) -> &'static Account {
        static ACCOUNTS: [Account; 3] = [const { Account::new() }; 3];
        let [dds, dms, domain_server] = &ACCOUNTS;
        match self {
            Self::Dds => dds,
            Self::Dms => dms,
            Self::DomainServer => domain_server,
        }
    }
}

/// The requests to one kind of server.
#[derive(Debug)]
struct Account {
    results: Tally<31>,
    times: Histogram<12>,
    retries: AtomicU64,
}

/// The requests to one kind of server at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerView {
    /// How requests ended: a status, its class, `no_connection` or `no_answer`.
    pub results: Vec<(&'static str, u64)>,
    /// How long it took until the head of the answer was there, in seconds; of requests that were answered.
    pub times: HistogramView,
    /// Requests that were made again after a failure.
    pub retries: u64,
    /// By how many seconds the clock of a server of this kind is ahead of this machine's, by its last answer; of several that
    /// answered in the last hour the one that is furthest off. To the second: a server says no more.
    pub skew_seconds: Option<f64>,
}

impl Account {
    const fn new() -> Self {
        Self { results: Tally::new(RESULTS), times: Histogram::new(BOUNDS), retries: AtomicU64::new(0) }
    }

    fn answered(&self, response: &Response, sent: Instant) {
        self.results.count(word(response.status()));
        self.times.observe_time(sent.elapsed());
    }
}

/// By how many milliseconds the clock of whoever answered is ahead.
fn skew_ms(response: &Response, sent: Instant) -> Option<i64> {
    i64::try_from(skew(response.headers(), sent.elapsed())?.whole_milliseconds()).ok()
}

/// The word for a status: itself if it is a common one, else its class. A server can answer with a thousand different ones,
/// and each would be a time series where metrics are stored.
fn word(status: StatusCode) -> &'static str {
    let own = RESULTS.iter().find(|word| **word == status.as_str());
    own.copied().unwrap_or(match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "other",
    })
}

/// Sends a request, and counts it.
///
/// # Errors
/// Those of the request.
pub async fn send(peer: Peer, request: RequestBuilder) -> reqwest::Result<Response> {
    let account = peer.account();
    let sent = Instant::now();
    let (client, request) = request.build_split();
    let request = request?;
    // A caller that stops waiting drops this: there was no answer either.
    let mut unanswered = CountedAtEnd { peer, host: Some(crate::http::peer(request.url())) };
    let result = client.execute(request).await;
    if let Some(host) = unanswered.host.take() {
        let skew_ms = result.as_ref().ok().and_then(|response| skew_ms(response, sent));
        hosts::ended(peer, host, failure(&result), skew_ms);
    }
    match &result {
        Ok(response) => account.answered(response, sent),
        Err(error) if error.is_connect() => account.results.count("no_connection"),
        Err(_) => account.results.count("no_answer"),
    }
    result
}

/// Why an answer, or none, says that its server or this node is in trouble. A refusal of what a task asks for does not.
fn failure(result: &reqwest::Result<Response>) -> Option<String> {
    match result {
        Ok(response) => {
            let status = response.status();
            let is_trouble = status.is_server_error() || matches!(status.as_u16(), 401 | 403 | 408 | 429);
            is_trouble.then(|| format!("answered {status}"))
        }
        Err(error) => Some(crate::http::cause(error)),
    }
}

/// Counts a request that nobody waits for any more.
struct CountedAtEnd {
    peer: Peer,
    /// None once it has ended.
    host: Option<String>,
}

impl Drop for CountedAtEnd {
    fn drop(&mut self) {
        if let Some(host) = self.host.take() {
            self.peer.account().results.count("no_answer");
            hosts::ended(self.peer, host, Some("no answer for as long as somebody waited".to_owned()), None);
        }
    }
}

/// Counts a request that is made again because the last try failed.
pub fn retried(peer: Peer) {
    peer.account().retries.fetch_add(1, Ordering::Relaxed);
}

/// What was counted so far.
pub fn view(peer: Peer) -> PeerView {
    let account = peer.account();
    PeerView {
        results: account.results.view().to_vec(),
        times: account.times.view(),
        retries: account.retries.load(Ordering::Relaxed),
        skew_seconds: hosts::skew_seconds(peer),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_its_own_word_or_that_of_its_class() {
        for (status, expected) in [(200, "200"), (503, "503"), (299, "2xx"), (418, "4xx"), (999, "other")] {
            assert_eq!(word(StatusCode::from_u16(status).unwrap()), expected);
        }
    }

    /// Answers one request as a server whose clock shows this.
    fn server_at(date: &'static str) -> std::net::SocketAddr {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let answer = format!("HTTP/1.1 204 No Content\r\ndate: {date}\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        });
        addr
    }

    #[tokio::test]
    async fn each_domain_server_has_its_own_clock() {
        let client = crate::http::client_builder().build().unwrap();
        let (past, future) =
            (server_at("Mon, 03 Jan 2000 00:00:00 GMT"), server_at("Sun, 03 Jan 2100 00:00:00 GMT"));
        for addr in [past, future] {
            send(Peer::DomainServer, client.get(format!("http://{addr}/"))).await.unwrap();
        }
        let ahead = |addr: std::net::SocketAddr| {
            let found = servers().into_iter().find(|server| server.host.contains(&addr.to_string())).unwrap();
            found.clock_ahead.unwrap()
        };
        assert!(ahead(past) < -1e8 && ahead(future) > 1e8, "{} {}", ahead(past), ahead(future));
        let furthest = view(Peer::DomainServer).skew_seconds.unwrap();
        assert!((furthest - ahead(past)).abs() < 2.0 || (furthest - ahead(future)).abs() < 2.0, "{furthest}");
    }

    #[tokio::test]
    async fn a_request_that_finds_nobody_is_counted_as_such() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        drop(listener);
        let client = crate::http::client_builder().build().unwrap();
        // No other test of this crate sends to DDS.
        send(Peer::Dds, client.get(format!("http://{addr}/"))).await.unwrap_err();
        let results = view(Peer::Dds).results;
        assert!(results.contains(&("no_connection", 1)), "{results:?}");
        assert_eq!(view(Peer::Dds).times.count, 0);
    }
}
