//! URLs: how they are joined, and which of them a secret may travel to.

use ::url::{Host, Url};

/// Appends path segments to a base URL, however many slashes it ends in (docs/protocol.md 3.1). Each segment
/// is percent-encoded.
///
/// ```
/// use posemesh_net::url::join;
/// use url::Url;
///
/// let base = Url::parse("https://dms.example/v1/")?;
/// assert_eq!(join(&base, &["tasks", "a/b"]).as_str(), "https://dms.example/v1/tasks/a%2Fb");
/// # Ok::<(), url::ParseError>(())
/// ```
pub fn join(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    let path = base.path();
    let trailing = path.len() - path.trim_end_matches('/').len();
    // A URL that cannot be a base (`data:`) has no segments to append to; it comes back as it is.
    if let Ok(mut path) = url.path_segments_mut() {
        // Each call takes one slash.
        for _ in 0..trailing {
            path.pop_if_empty();
        }
        path.extend(segments);
    }
    url
}

/// Whether a URL's host is this machine by its name or address. No name is looked up.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        // An IPv4 address in the form of IPv6 leads where the IPv4 address does.
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        // RFC 6761 reserves `localhost` and all names below it for the loopback address.
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

/// Whether secrets may travel to this URL: by TLS, or without leaving the machine.
pub fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || is_loopback(url)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn joining_survives_trailing_slashes_and_encodes_segments() {
        for (base, want) in [
            ("https://h/v1", "https://h/v1/tasks/a%2Fb"),
            ("https://h/v1/", "https://h/v1/tasks/a%2Fb"),
            ("https://h/v1///", "https://h/v1/tasks/a%2Fb"),
            ("https://h//", "https://h/tasks/a%2Fb"),
            ("https://h", "https://h/tasks/a%2Fb"),
        ] {
            assert_eq!(join(&Url::parse(base).unwrap(), &["tasks", "a/b"]).as_str(), want);
        }
    }

    #[test]
    fn plain_http_is_private_on_this_machine_only() {
        let private = |url: &str| is_private(&Url::parse(url).unwrap());
        for url in [
            "https://ds.example",
            "http://127.0.0.1:1",
            "http://[::1]",
            "http://a.localhost:8080/x",
            "http://localhost./",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(private(url), "{url}");
        }
        for url in ["http://ds.example", "http://10.0.0.1", "http://localhost.example", "data:text/plain,x"] {
            assert!(!private(url), "{url}");
        }
    }
}
