//! One way to make an HTTP client, to present a token, to read a body that may be hostile, and to describe a
//! failure without showing secrets.

use std::sync::Arc;
use std::time::Duration;

use ::http::header::{HeaderValue, InvalidHeaderValue};
use ::url::Url;
use bytes::{Bytes, BytesMut};
use posemesh_text::one_line;
use reqwest::redirect::Policy;
use zeroize::Zeroizing;

use crate::network::Network;
use crate::proxy::ProxyUrl;
use crate::roots;
use crate::secret::Secret;

/// The largest JSON answer that is read from DDS, DMS or a domain server.
pub const MAX_JSON_BODY: usize = 4 << 20;

/// Time for a connection to be established.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection that nobody uses is kept for the next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// How much of a host's name is shown, in bytes: a lease can name any.
const SHOWN_HOST: usize = 260;

/// Time for the whole of one request that is answered by a small JSON body, unless the operator sets another.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Starts a client: rustls with ring, proxies and trusted certificates as [`Network`] says, no redirects (a redirect
/// would carry a bearer token to a place that nobody configured).
pub fn client_builder() -> reqwest::ClientBuilder {
    // An error means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let network = Network::current();
    let proxies = Arc::clone(&network.proxies);
    reqwest::Client::builder()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        // Each holds a descriptor, and a node that has too few of them asks for no work until they are closed.
        .pool_idle_timeout(IDLE_TIMEOUT)
        // The library would end a connection whose peer takes nothing for 30 s, however long its user is ready to wait.
        .tcp_user_timeout(None)
        // Instead of the library's own reading of the environment, which sends requests to this machine to the proxy.
        .no_proxy()
        .proxy(reqwest::Proxy::custom(move |url| proxies.for_url(url).map(ProxyUrl::url)))
        .tls_certs_only(network.trusted().certificates())
}

/// The header value of a bearer token. It is marked as sensitive, so that no debug output shows it.
///
/// # Errors
/// When the token has characters that no header can hold.
pub fn bearer(token: &Secret) -> Result<HeaderValue, InvalidHeaderValue> {
    // The text is a copy of the token, so it is wiped like the token itself.
    let text = Zeroizing::new(format!("Bearer {}", token.expose()));
    let mut value = HeaderValue::from_str(&text)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The body has more bytes than this limit.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// The connection failed before the body was complete.
    #[error("the answer was cut short: {0}")]
    Transport(String),
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// When it is larger, whatever its `Content-Length` says, or when the connection fails.
pub async fn read_body(mut response: reqwest::Response, limit: usize) -> Result<Bytes, BodyError> {
    // An honest length saves reading a body that is refused anyway.
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(BodyError::TooLarge(limit));
    }
    // Grows with what comes: a length that the server merely claims must not allocate memory.
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            // Counted as well as announced: a chunked answer has no length that could be checked first.
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => return Err(BodyError::TooLarge(limit)),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body.freeze()),
            Err(error) => return Err(BodyError::Transport(cause(&error))),
        }
    }
}

/// The chain of causes of a transport error in one line, with host and port of whom it was about, and the proxy in
/// between. Without URLs: their queries may carry what is not meant for logs. Of a certificate that nobody vouches for it
/// says what helps.
pub fn cause(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "could not connect"
    } else if error.is_body() || error.is_decode() {
        "the transfer failed"
    } else {
        "the request failed"
    };
    let mut text = match error.url() {
        Some(url) if error.is_connect() => format!("{kind} to {}", peer(url)),
        Some(url) => format!("{kind} ({})", peer(url)),
        None => kind.to_owned(),
    };
    // Begins below the error itself, since its own text is the one that has the URL.
    for inner in causes(error) {
        let line = inner.to_string();
        // Layers often repeat the text of the one below them.
        if !text.ends_with(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
    }
    if certificate_fault(error) == Some(CertificateFault::UnknownIssuer) {
        text.push_str("; the server's certificate is from a CA that this node does not trust: ");
        text.push_str(roots::CURE);
    }
    text
}

/// Whom a request to this URL speaks to, for people: `HOST:PORT`, and through which proxy.
pub fn peer(url: &Url) -> String {
    let host = one_line(url.host_str().unwrap_or("no host"), SHOWN_HOST);
    let port = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
    match Network::current().proxies.for_url(url) {
        Some(proxy) => format!("{host}{port} through the proxy {proxy}"),
        None => format!("{host}{port}"),
    }
}

/// Why a server's certificate was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFault {
    /// No trusted CA vouches for it; perhaps because this machine trusts none.
    UnknownIssuer,
    /// It has expired, is for another name, or is wrong in another way.
    Other,
}

/// Whether a request failed because the server's certificate was refused: it will be refused the next time too.
pub fn certificate_fault(error: &reqwest::Error) -> Option<CertificateFault> {
    let refused = causes(error).find_map(|inner| match inner.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::InvalidCertificate(reason)) => Some(reason.clone()),
        _ => None,
    })?;
    Some(match refused {
        rustls::CertificateError::UnknownIssuer => CertificateFault::UnknownIssuer,
        _ => CertificateFault::Other,
    })
}

/// The operating system's error that a request failed by, if it was one.
pub fn os_error(error: &reqwest::Error) -> Option<i32> {
    causes(error)
        .find_map(|inner| inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error))
}

/// What is below an error, from the nearest on. An I/O error that only wraps another error stands for both.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    fn below<'a>(
        inner: &&'a (dyn std::error::Error + 'static),
    ) -> Option<&'a (dyn std::error::Error + 'static)> {
        match inner.downcast_ref::<std::io::Error>() {
            // Its `source` leaves out what it wraps and goes on with the source of that.
            Some(io) => io.get_ref().map(|wrapped| wrapped as &(dyn std::error::Error + 'static)),
            None => inner.source(),
        }
    }
    std::iter::successors(std::error::Error::source(error), below)
}

/// The first `max` bytes of a body, as far as they come; the rest is not read. For error bodies, which are
/// only ever quoted.
pub async fn start_of_body(mut response: reqwest::Response, max: usize) -> Vec<u8> {
    let mut start = Vec::new();
    while start.len() < max {
        match response.chunk().await {
            Ok(Some(chunk)) => start.extend_from_slice(&chunk),
            _ => break,
        }
    }
    // The last chunk may go past the limit.
    start.truncate(max);
    start
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_does_not_print_and_must_fit_into_a_header() {
        let value = bearer(&Secret::new("hunter2")).unwrap();
        assert_eq!(value, "Bearer hunter2");
        assert_eq!(format!("{value:?}"), "Sensitive");
        assert!(bearer(&Secret::new("a\nb")).is_err());
    }
}
