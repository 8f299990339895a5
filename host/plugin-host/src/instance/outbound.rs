//! Outbound HTTP of one run: to granted hosts only, at addresses that were checked, within its budgets.
//!
//! **Invariant:** a connection goes to an address that [`is_public`] or the operator's
//! `private_network_hosts` let through. A name is resolved once; if any of its addresses is not allowed,
//! the request is refused; the connection is made to the addresses that were checked, never to a second
//! answer. Redirects and proxies are not followed.

mod body;
mod resolver;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::BodyExt as _;
use posemesh_net::http::{CONNECT_TIMEOUT, cause, client_builder};
use tokio::sync::Semaphore;
use tracing::Level;
use url::{Host, Url};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::instance::outbound::body::{HttpBudget, limit_error};
use crate::instance::outbound::resolver::{CheckedResolver, ProhibitedAddress};
use crate::instance::runner_log::RunnerLog;
use crate::manifest::fixed_limit::FixedLimit;
use crate::manifest::host_rule::{HostRule, is_public};
use crate::manifest::limits::{Limit, Limits};
use crate::manifest::policy::Grant;

/// The most bytes of a request's body that are taken at once.
const BODY_CHUNK: usize = 64 << 10;
/// What a body may hold before it goes on: the chunk that was taken, the next, and trailers.
pub(crate) const BODY_BUFFER: u64 = (2 * BODY_CHUNK + FixedLimit::HeaderBytes.bytes()) as u64;
/// How many requests of one run may be under way.
pub(crate) const AT_ONCE: usize = 8;

/// The answer of a request, and the work that goes on behind it (none: the client has its own).
type Answer = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

/// The outbound HTTP of one run: where it may go, and what is left of its budgets.
pub(crate) struct Outbound {
    hosts: Vec<HostRule>,
    private_hosts: Vec<HostRule>,
    limits: Limits,
    requests_left: u64,
    bytes: HttpBudget,
    at_once: Arc<Semaphore>,
    /// For public addresses, and for any. Made for the first request: most runs have none.
    clients: [OnceLock<reqwest::Client>; 2],
    log: RunnerLog,
}

impl Outbound {
    /// What a grant lets a run do.
    pub(crate) fn new(grant: &Grant, log: RunnerLog) -> Self {
        let hosts = grant.network_hosts.clone();
        Self { hosts, private_hosts: grant.private_network_hosts.clone(), ..Self::closed(&grant.limits, log) }
    }

    /// Without a host that may be reached, as in `describe`.
    pub(crate) fn closed(limits: &Limits, log: RunnerLog) -> Self {
        Self {
            hosts: Vec::new(),
            private_hosts: Vec::new(),
            requests_left: limits.http_requests,
            bytes: HttpBudget::new(limits.http_bytes),
            limits: limits.clone(),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            clients: Default::default(),
            log,
        }
    }

    /// The client and the URL of a request that may be sent.
    fn admit(&mut self, uri: &http::Uri) -> Result<(reqwest::Client, Url), Error> {
        let url = Url::parse(&uri.to_string()).map_err(|_| Error::HttpRequestUriInvalid)?;
        // Any other scheme could make the client do something that the rules on hosts and ports do not cover.
        let default_port = match url.scheme() {
            "https" => 443,
            "http" => 80,
            _ => return Err(Error::HttpProtocolError),
        };
        let (host, address) = match url.host() {
            Some(Host::Domain(name)) => (name.trim_end_matches('.').to_owned(), None),
            Some(Host::Ipv4(address)) => (address.to_string(), Some(IpAddr::V4(address))),
            Some(Host::Ipv6(address)) => (address.to_string(), Some(IpAddr::V6(address))),
            None => return Err(Error::HttpRequestUriInvalid),
        };
        let port = url.port().unwrap_or(default_port);
        let allowed = |rules: &[HostRule]| rules.iter().any(|rule| rule.allows(&host, port, default_port));
        // First, since this permission includes the other: any address, public ones too.
        let private = allowed(&self.private_hosts);
        if !private && !allowed(&self.hosts) {
            self.warn(&format!("the runner may not reach {host}:{port}: the host was not granted"));
            return Err(Error::HttpRequestDenied);
        }
        // The client would turn them into an `Authorization` header that the runner did not set.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::HttpRequestUriInvalid);
        }
        // An address in the URL is never resolved, so the checked resolver would not see it.
        if address.is_some_and(|address| !private && !is_public(address)) {
            self.warn(&format!("the runner may not reach {host}:{port}: it is not a public address"));
            return Err(Error::DestinationIpProhibited);
        }
        let used_up = || limit_error(&self.limits.reached(Limit::HttpRequests));
        // After the checks: a refused request reaches no server and takes nothing from the budget.
        self.requests_left = self.requests_left.checked_sub(1).ok_or_else(used_up)?;
        Ok((self.client(private)?, url))
    }

    fn client(&self, private: bool) -> Result<reqwest::Client, Error> {
        let [public, any] = &self.clients;
        let made = if private { any } else { public };
        if let Some(client) = made.get() {
            return Ok(client.clone());
        }
        // A proxy would resolve names itself, and the addresses that were checked here would not be used.
        let client = client_builder().no_proxy().dns_resolver(Arc::new(CheckedResolver { private })).build();
        let client = client.map_err(|error| Error::InternalError(Some(error.to_string())))?;
        Ok(made.get_or_init(|| client).clone())
    }

    fn warn(&self, text: &str) {
        self.log.line("host", Level::WARN, text);
    }
}

impl WasiHttpHooks for Outbound {
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Answer, Error>> + Send> {
        let (client, url) = match self.admit(request.uri()) {
            Ok(admitted) => admitted,
            Err(error) => return Box::new(std::future::ready(Err(error))),
        };
        let most = Duration::from_millis(self.limits.http_timeout_ms);
        let budget = self.bytes.clone();
        let at_once = self.at_once.clone();
        let log = self.log.clone();
        Box::new(async move {
            // The permit goes into the body of the answer: a connection is in use until its body has been read.
            let permit = at_once.acquire_owned().await.map_err(|_| Error::ConnectionLimitReached)?;
            let (parts, content) = request.into_parts();
            let has_body = !http_body::Body::is_end_stream(&content);
            let mut call = client.request(parts.method, url).headers(parts.headers).timeout(most);
            // An empty stream would still be sent as a chunked body, which some servers refuse on a GET.
            if has_body {
                call = call.body(budget.outgoing(content));
            }
            // A runner may shorten the operator's limit, never extend it.
            let wait = options.and_then(|options| options.first_byte_timeout).unwrap_or(most).min(most);
            let connect = options.and_then(|options| options.connect_timeout).unwrap_or(CONNECT_TIMEOUT);
            let sent = tokio::time::timeout(wait.max(connect), call.send()).await;
            let answer = sent.map_err(|_| Error::ConnectionReadTimeout)?.map_err(|error| {
                let (error, text) = explain(&error, &budget);
                log.line("host", Level::WARN, &format!("outbound HTTP: {text}"));
                error
            })?;
            let (parts, content) = http::Response::from(answer).into_parts();
            let content = budget.incoming(content, permit).boxed_unsync();
            Ok((http::Response::from_parts(parts, content), done()))
        })
    }
}

fn done() -> Box<dyn Future<Output = Result<(), Error>> + Send> {
    Box::new(std::future::ready(Ok(())))
}

/// A request that failed: the error for the guest, and the text for the log.
fn explain(error: &reqwest::Error, budget: &HttpBudget) -> (Error, String) {
    let text = cause(error);
    let mut source = std::error::Error::source(error);
    // The resolver's refusal arrives wrapped by the HTTP client; only the chain of sources still has its type.
    while let Some(inner) = source {
        if inner.downcast_ref::<ProhibitedAddress>().is_some() {
            return (Error::DestinationIpProhibited, text);
        }
        source = inner.source();
    }
    if let Some(limit) = budget.reached() {
        return (limit_error(&limit), limit.to_string());
    }
    let shown = if error.is_timeout() {
        Error::ConnectionTimeout
    } else if error.is_connect() {
        Error::DestinationUnavailable
    } else {
        Error::InternalError(Some(text.clone()))
    };
    (shown, text)
}

#[cfg(test)]
mod tests;
