//! Which requests go through a proxy: what `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say, as curl reads
//! them, except that a request to this machine never does. It may carry a secret in plain HTTP, which is allowed there
//! because it does not leave the machine.

use std::fmt;

use ::http::Uri;
use ::url::Url;
use hyper_util::client::proxy::matcher::Matcher;
use posemesh_text::{REDACTED, one_line};

use crate::url::is_loopback;

/// A proxy that is never reached: the matcher is only asked whether a request goes through one.
const ANY_PROXY: &str = "http://proxy.invalid";

/// The proxies of this process. `Debug` and `Display` never show their credentials.
///
/// ```
/// use posemesh_net::proxy::{Proxies, ProxyUrl};
/// use url::Url;
///
/// let proxy: ProxyUrl = "http://me:hunter2@proxy.example:3128".parse()?;
/// let proxies = Proxies::new(Some(proxy), None, "dds.example");
/// let shown = |url: &str| proxies.for_url(&Url::parse(url).unwrap()).map(ToString::to_string);
/// assert_eq!(shown("http://dms.example/v1").as_deref(), Some("http://[redacted]@proxy.example:3128"));
/// assert_eq!(shown("http://dds.example"), None, "NO_PROXY names it");
/// assert_eq!(shown("http://127.0.0.1:8080"), None, "loopback never leaves the machine");
/// # Ok::<(), String>(())
/// ```
#[derive(Default)]
pub struct Proxies {
    http: Option<ProxyUrl>,
    https: Option<ProxyUrl>,
    /// Knows the grammar of `NO_PROXY`.
    direct: Option<Matcher>,
}

/// Where a proxy is, with the credentials for it.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(Url);

impl Proxies {
    /// Proxies for requests by `http` and by `https`, and what `NO_PROXY` says.
    pub fn new(http: Option<ProxyUrl>, https: Option<ProxyUrl>, no_proxy: &str) -> Self {
        let direct = Matcher::builder().all(ANY_PROXY).no(no_proxy).build();
        Self { http, https, direct: Some(direct) }
    }

    /// The proxies that the environment of this process names. A value that is no proxy counts as absent.
    pub fn of_process() -> Self {
        let first = |names: [&str; 2]| {
            let values = names.into_iter().filter_map(|name| std::env::var(name).ok());
            values.map(|value| value.trim().to_owned()).find(|value| !value.is_empty())
        };
        let proxy = |names| first(names).and_then(|text| text.parse::<ProxyUrl>().ok());
        let all = proxy(["ALL_PROXY", "all_proxy"]);
        Self::new(
            proxy(["HTTP_PROXY", "http_proxy"]).or_else(|| all.clone()),
            proxy(["HTTPS_PROXY", "https_proxy"]).or(all),
            &first(["NO_PROXY", "no_proxy"]).unwrap_or_default(),
        )
    }

    /// The proxy of requests by `http`, whatever `NO_PROXY` says.
    pub fn http(&self) -> Option<&ProxyUrl> {
        self.http.as_ref()
    }

    /// The proxy of requests by `https`, whatever `NO_PROXY` says.
    pub fn https(&self) -> Option<&ProxyUrl> {
        self.https.as_ref()
    }

    /// The proxy that requests to this URL go through; none if they go straight.
    pub fn for_url(&self, url: &Url) -> Option<&ProxyUrl> {
        if is_loopback(url) {
            return None;
        }
        let proxy = if url.scheme() == "https" { self.https.as_ref() } else { self.http.as_ref() }?;
        let uri: Uri = url.as_str().parse().ok()?;
        let direct = self.direct.as_ref()?;
        // Asked with a proxy for everything, so that no answer means that `NO_PROXY` names the host.
        direct.intercept(&uri).map(|_| proxy)
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http)
            .field("https", &self.https)
            .finish_non_exhaustive()
    }
}

impl ProxyUrl {
    pub(crate) fn url(&self) -> Url {
        self.0.clone()
    }

    /// Where it is: its host and port.
    pub fn host_and_port(&self) -> (String, u16) {
        let host = self.0.host_str().unwrap_or_default().trim_matches(['[', ']']);
        (host.to_owned(), self.0.port_or_known_default().unwrap_or_default())
    }
}

/// Reads `HOST:PORT` or `http(s)://[USER:PASSWORD@]HOST[:PORT]`. The error quotes nothing of it.
impl std::str::FromStr for ProxyUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&with_scheme).map_err(|error| format!("not the URL of a proxy: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = one_line(url.scheme(), 20);
            return Err(format!("a proxy of the kind `{scheme}` is not supported; http and https are"));
        }
        if !url.has_host() {
            return Err("not the URL of a proxy: it has no host".to_owned());
        }
        Ok(Self(url))
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_credentials = !self.0.username().is_empty() || self.0.password().is_some();
        let credentials = if has_credentials { format!("{REDACTED}@") } else { String::new() };
        let host = one_line(self.0.host_str().unwrap_or_default(), 200);
        write!(f, "{}://{credentials}{host}", self.0.scheme())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn proxied(proxies: &Proxies, url: &str) -> bool {
        proxies.for_url(&Url::parse(url).unwrap()).is_some()
    }

    #[test]
    fn a_request_to_this_machine_never_goes_through_a_proxy() {
        let proxy: ProxyUrl = "proxy.example:3128".parse().unwrap();
        let proxies = Proxies::new(Some(proxy.clone()), Some(proxy), "");
        for url in [
            "http://127.0.0.1:8080/x",
            "http://127.8.8.8",
            "http://[::1]:1",
            "http://localhost",
            "https://LOCALHOST",
            "http://a.localhost:8080",
        ] {
            assert!(!proxied(&proxies, url), "{url}");
        }
        for url in ["http://dds.example", "https://10.0.0.1", "http://localhost.example", "http://128.0.0.1"]
        {
            assert!(proxied(&proxies, url), "{url}");
        }
    }

    #[test]
    fn no_proxy_names_hosts_domains_and_networks() {
        let proxy: ProxyUrl = "http://proxy.example".parse().unwrap();
        let proxies = Proxies::new(Some(proxy), None, "ds.example, .inner.example,10.0.0.0/8");
        for (url, want) in [
            ("http://ds.example:81", false),
            ("http://a.ds.example", false),
            ("http://x.inner.example", false),
            ("http://10.1.2.3", false),
            ("http://notds.example", true),
            ("http://11.1.2.3", true),
            ("https://other.example", false),
        ] {
            assert_eq!(proxied(&proxies, url), want, "{url}");
        }
        let proxy: ProxyUrl = "http://proxy.example".parse().unwrap();
        assert!(!proxied(&Proxies::new(Some(proxy), None, "*"), "http://any.example"));
    }

    #[test]
    fn credentials_of_a_proxy_are_never_shown() {
        let proxy: ProxyUrl = "https://me:hunter2@proxy.example".parse().unwrap();
        assert_eq!(format!("{proxy} {proxy:?}").matches("[redacted]").count(), 2);
        assert!(!format!("{proxy} {:?}", Proxies::new(Some(proxy.clone()), None, "")).contains("hunter2"));
        for bad in ["socks5://hunter2@h:1", "http://", "http://hunter2:x@:1", "ftp://hunter2@h"] {
            let error = bad.parse::<ProxyUrl>().unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
