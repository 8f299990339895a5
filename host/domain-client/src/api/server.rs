//! The domain of one task at its server: addresses, and whether the server may be talked to at all.

use posemesh_net::url::{is_loopback, join};
use posemesh_text::one_line;
use url::Url;
use uuid::Uuid;

use crate::api::error::DomainError;

/// The one server and domain that a task's requests go to, whatever a CID says (protocol 6).
#[derive(Debug)]
pub(crate) struct TaskServer {
    base_url: Url,
    domain_id: Uuid,
    /// Why the server must not be talked to, if so. Kept rather than returned, so that each port call that would
    /// need the server is refused with the reason.
    refusal: Option<DomainError>,
}

impl TaskServer {
    pub(crate) fn new(base_url: Url, domain_id: Uuid, allow_plain_http: bool) -> Self {
        let refusal =
            refusal(&base_url, allow_plain_http).map(|why| DomainError::ServerRefused(why.to_owned()));
        Self { base_url, domain_id, refusal }
    }

    pub(crate) fn base_url(&self) -> &Url {
        &self.base_url
    }

    /// Scheme, host and port, for those who look.
    pub(crate) fn origin(&self) -> String {
        one_line(self.base_url.origin().ascii_serialization(), 200)
    }

    pub(crate) fn domain_id(&self) -> Uuid {
        self.domain_id
    }

    /// # Errors
    /// [`DomainError::ServerRefused`] when no request may be sent.
    pub(crate) fn check(&self) -> Result<(), DomainError> {
        self.refusal.clone().map_or(Ok(()), Err)
    }

    /// `/api/v1/domains/{D}/data` with a query (protocol 6.1, 6.2, 6.8).
    pub(crate) fn data_url(&self, query: Option<&str>) -> Url {
        let domain = self.domain_id.to_string();
        self.url(&["api", "v1", "domains", &domain, "data"], query)
    }

    /// `/api/v1/domains/{D}/data/multipart` with a query (protocol 6.9).
    pub(crate) fn session_url(&self, query: &str) -> Url {
        let domain = self.domain_id.to_string();
        self.url(&["api", "v1", "domains", &domain, "data", "multipart"], Some(query))
    }

    /// `/api/v1/info` (protocol 6.7).
    pub(crate) fn info_url(&self) -> Url {
        self.url(&["api", "v1", "info"], None)
    }

    fn url(&self, segments: &[&str], query: Option<&str>) -> Url {
        let mut url = join(&self.base_url, segments);
        url.set_query(query);
        // A base URL may bring its own query or fragment; neither belongs to the call.
        url.set_fragment(None);
        url
    }
}

/// Why a domain server's URL is not acceptable, if it isn't.
pub(crate) fn refusal(base: &Url, allow_plain_http: bool) -> Option<&'static str> {
    if base.host().is_none() {
        return Some("its URL has no host");
    }
    // Credentials in the URL would appear in logs, and compete with the bearer token for the same header.
    if !base.username().is_empty() || base.password().is_some() {
        return Some("its URL has a user name or password in it");
    }
    match base.scheme() {
        "https" => None,
        "http" if allow_plain_http || is_loopback(base) => None,
        "http" => Some("plain http would show the task token to the network; https is needed"),
        _ => Some("its URL is neither https nor http"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only_unless_allowed() {
        let refused = |url: &str, allow| refusal(&Url::parse(url).unwrap(), allow).is_some();
        for url in ["https://ds.example", "http://127.0.0.1:1", "http://[::1]", "http://localhost:8080/x"] {
            assert!(!refused(url, false), "{url}");
        }
        for url in ["http://ds.example", "http://10.0.0.1", "http://localhost.example"] {
            assert!(refused(url, false), "{url}");
            assert!(!refused(url, true), "{url} with the operator's leave");
        }
        for url in ["https://me@ds.example", "ftp://ds.example", "data:text/plain,x"] {
            assert!(refused(url, true), "{url}");
        }
    }
}
