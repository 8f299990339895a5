//! Which base URLs the node talks to.

use std::net::IpAddr;

use url::{Host, Url};

use super::reader::Reader;

/// Whether secrets may travel to this URL: by TLS, or without leaving the machine.
pub fn is_private(url: &Url) -> bool {
    if url.scheme() == "https" {
        return true;
    }
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

/// A base URL: `http` or `https` with a host, and nothing that could carry a secret or break joining.
pub(super) fn base_url(
    reader: &mut Reader<'_>,
    name: &'static str,
    default: &str,
    plain: bool,
) -> Option<Url> {
    let Some((text, source)) = reader.raw(name) else {
        reader.setting(name, default, super::Source::Default);
        return Url::parse(default).ok();
    };
    match check(name, text, plain) {
        Ok(url) => {
            reader.setting(name, &url, source);
            Some(url)
        }
        Err(message) => {
            // What stands before an `@` or after a `?` is likely a password or a token.
            let shown = if text.contains(['@', '?', '#']) { super::REDACTED } else { text };
            reader.problem(name, Some(shown), message);
            None
        }
    }
}

fn check(name: &str, text: &str, plain: bool) -> Result<Url, String> {
    const ALLOWED: &str = "allowed: http(s)://HOST[:PORT][/PATH]";
    let url = Url::parse(text).map_err(|error| format!("invalid URL in {name}: {error}; {ALLOWED}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("invalid URL in {name}: not http or https with a host; {ALLOWED}"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("invalid URL in {name}: it holds a user name or password; {ALLOWED}"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("invalid URL in {name}: it holds a query or fragment; {ALLOWED}"));
    }
    if !plain && !is_private(&url) {
        return Err("plain http would send secrets readable over the network; \
            use https, or set ALLOW_INSECURE_HTTP=true in a network that you trust"
            .to_owned());
    }
    Ok(url)
}
