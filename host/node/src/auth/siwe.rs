//! Sign-in with Ethereum: what DDS asks to have signed, the check that it is about this DDS and nothing
//! else, and the text that is signed (protocol 1.2 and 1.3).

use std::fmt::Write;

use http::uri::Authority;
use siwe::{Message, TimeStamp, Version};
use time::{Duration, OffsetDateTime};
use url::Url;

use crate::auth::wallet::Wallet;
use posemesh_text::one_line;

/// The layout of the signed text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SiweFormat {
    /// As in protocol 1.3: the address in lower case, one empty line after it.
    #[default]
    Compact,
    /// As in EIP-4361: the address with its checksum, two empty lines where no statement is.
    Eip4361,
}

/// The answer to a nonce request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// Host of the DDS, with its port if it is not the scheme's.
    pub(crate) domain: String,
    /// Base URL of the DDS.
    pub(crate) uri: String,
    /// Always `1`.
    pub(crate) version: String,
    /// EIP-155 chain.
    pub(crate) chain_id: i64,
    /// Single-use.
    pub(crate) nonce: String,
    /// RFC 3339; signed exactly as it came.
    pub(crate) issued_at: String,
}

/// Why the node does not sign what it was asked to. Values are quoted, escaped and cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("DDS asked to sign something that the node does not sign: {field} is {value}, expected {expected}")]
pub(crate) struct SigningRefusal {
    field: &'static str,
    value: String,
    expected: String,
}

/// How many bytes of a value at fault are quoted.
const QUOTED_BYTES: usize = 64;

impl SigningRefusal {
    fn new(field: &'static str, value: &str, expected: impl Into<String>) -> Self {
        Self { field, value: format!("`{}`", one_line(value, QUOTED_BYTES)), expected: expected.into() }
    }
}

/// What the operator chooses about signing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SigningSettings {
    /// How the signed text is laid out.
    pub(crate) format: SiweFormat,
    /// The one chain that is signed for; any chain if none.
    pub(crate) chain_id: Option<u64>,
    /// The `host[:port]` that DDS calls itself, if the node reaches it by another name (`SIWE_DOMAIN`).
    pub(crate) domain: Option<String>,
    /// The URI that DDS calls itself, likewise (`SIWE_URI`).
    pub(crate) uri: Option<Url>,
}

/// What the node signs for: one DDS, and one chain if the operator chose one.
#[derive(Debug, Clone)]
pub(crate) struct SignPolicy {
    /// Each of these is the domain of the DDS.
    domains: Expected,
    /// Each of these is its URI, without slashes at the end.
    uris: Expected,
    chain_id: Option<u64>,
}

/// What a field may hold; the first is the usual form.
#[derive(Debug, Clone)]
struct Expected {
    texts: Vec<String>,
    /// The variable that says so.
    variable: &'static str,
}

impl Expected {
    fn refusal(&self, field: &'static str, value: &str) -> SigningRefusal {
        let usual = self.texts.first().map_or("", String::as_str);
        // An operator whose DDS is behind a tunnel sees here what to set; nobody else should set anything.
        let help = match self.variable {
            "DDS_BASE_URL" => {
                "; SIWE_DOMAIN and SIWE_URI are for a DDS that is reached by another name than its own"
            }
            _ => "",
        };
        SigningRefusal::new(field, value, format!("`{usual}` of {}{help}", self.variable))
    }
}

/// How far `issuedAt` may be from the node's clock: a machine whose clock is wrong can still work, and no text
/// is signed that is for another day.
const MOST_SKEW: Duration = Duration::DAY;

/// The longest nonce that is signed.
const LONGEST_NONCE: usize = 4096;

impl SignPolicy {
    /// Signs for the DDS at this base URL, or for the one that the settings name: of domain and URI, the one that is
    /// not set follows from the other.
    pub(crate) fn new(base: &Url, settings: &SigningSettings) -> Self {
        let SigningSettings { domain, uri, chain_id, .. } = settings;
        let domains = match (domain, uri) {
            (Some(domain), _) => Expected { texts: vec![domain.clone()], variable: "SIWE_DOMAIN" },
            (None, Some(uri)) => Expected { texts: authorities(uri).to_vec(), variable: "SIWE_URI" },
            (None, None) => Expected { texts: authorities(base).to_vec(), variable: "DDS_BASE_URL" },
        };
        let path = base.path().trim_end_matches('/');
        let uris = match (uri, domain) {
            (Some(uri), _) => Expected { texts: uris(uri), variable: "SIWE_URI" },
            // The way to a DDS that is known by another name may be plain http on this machine, and the name https.
            (None, Some(domain)) => {
                let texts = ["https", base.scheme()].map(|scheme| format!("{scheme}://{domain}{path}"));
                Expected { texts: texts.to_vec(), variable: "SIWE_DOMAIN" }
            }
            (None, None) => Expected { texts: uris(base), variable: "DDS_BASE_URL" },
        };
        Self { domains, uris, chain_id: *chain_id }
    }

    /// Checks what DDS asks to sign. Returns the skew: how far `issuedAt` is ahead of the node's clock.
    ///
    /// # Errors
    /// When it is about another service or chain, or could add lines to the text.
    pub(crate) fn check(
        &self,
        challenge: &Challenge,
        now: OffsetDateTime,
    ) -> Result<Duration, SigningRefusal> {
        let texts = [
            ("domain", &challenge.domain),
            ("uri", &challenge.uri),
            ("version", &challenge.version),
            ("nonce", &challenge.nonce),
            ("issuedAt", &challenge.issued_at),
        ];
        // A line break in a field could add lines of its own to the text that is signed.
        for (field, text) in texts {
            if text.chars().any(char::is_control) {
                return Err(SigningRefusal::new(field, text, "text without control characters"));
            }
        }
        // Host names have no case, and the port that the scheme implies may be spelled out.
        if !self.domains.texts.iter().any(|ours| ours.eq_ignore_ascii_case(&challenge.domain)) {
            return Err(self.domains.refusal("domain", &challenge.domain));
        }
        // Compared as text: a parser would forgive what the signed text then still holds.
        let asked = challenge.uri.trim_end_matches('/');
        if !self.uris.texts.iter().any(|ours| ours == asked) {
            return Err(self.uris.refusal("uri", &challenge.uri));
        }
        // EIP-4361 defines no other version; what a signature of one would mean is not known.
        if challenge.version != "1" {
            return Err(SigningRefusal::new("version", &challenge.version, "`1`"));
        }
        let chain_id = u64::try_from(challenge.chain_id).ok().filter(|id| *id > 0);
        match (chain_id, self.chain_id) {
            (None, _) => {
                return Err(SigningRefusal::new(
                    "chainId",
                    &challenge.chain_id.to_string(),
                    "a positive number",
                ));
            }
            (Some(asked), Some(ours)) if asked != ours => {
                return Err(SigningRefusal::new(
                    "chainId",
                    &asked.to_string(),
                    format!("`{ours}` of SIWE_CHAIN_ID"),
                ));
            }
            _ => {}
        }
        // The grammar of EIP-4361 is `8*( ALPHA / DIGIT )`; the upper bound is the node's own.
        let alphanumeric = challenge.nonce.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !(8..=LONGEST_NONCE).contains(&challenge.nonce.len()) || !alphanumeric {
            let expected = format!("8 to {LONGEST_NONCE} letters and digits");
            return Err(SigningRefusal::new("nonce", &challenge.nonce, expected));
        }
        // Parsed for the check only: the text is signed as it came.
        let issued_at: TimeStamp = challenge
            .issued_at
            .parse()
            .map_err(|_| SigningRefusal::new("issuedAt", &challenge.issued_at, "an RFC 3339 timestamp"))?;
        let skew = *issued_at.as_ref() - now;
        if skew.abs() > MOST_SKEW {
            let expected = "a time within a day of this machine's clock; is the clock right?";
            return Err(SigningRefusal::new("issuedAt", &challenge.issued_at, expected));
        }
        Ok(skew)
    }
}

/// `host[:port]` of a URL: without the port if it is the scheme's own, and with it in any case.
fn authorities(url: &Url) -> [String; 2] {
    let host = url.host_str().unwrap_or_default();
    let with_port = match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    match url.port() {
        Some(_) => [with_port.clone(), with_port],
        None => [host.to_owned(), with_port],
    }
}

/// A URL without slashes at its end, with each of its authorities.
fn uris(url: &Url) -> Vec<String> {
    let path = url.path().trim_end_matches('/');
    authorities(url).iter().map(|authority| format!("{}://{authority}{path}", url.scheme())).collect()
}

/// Composes the text that `wallet` signs, with the fields exactly as the challenge has them. Checks the grammar
/// of the fields; [`SignPolicy::check`] checks their content.
///
/// # Errors
/// When a field is not of the form that EIP-4361 asks for.
pub(crate) fn compose(
    challenge: &Challenge,
    wallet: &Wallet,
    resources: &[&str],
    format: SiweFormat,
) -> Result<String, SigningRefusal> {
    let refuse = |field, value: &str, expected: &str| SigningRefusal::new(field, value, expected);
    let address = wallet.address().trim_start_matches("0x");
    let mut bytes = [0_u8; 20];
    hex::decode_to_slice(address, &mut bytes).map_err(|_| refuse("address", address, "40 hex digits"))?;
    let message = Message {
        domain: challenge
            .domain
            .parse::<Authority>()
            .map_err(|_| refuse("domain", &challenge.domain, "host or host:port"))?,
        address: bytes,
        statement: None,
        uri: challenge.uri.parse().map_err(|_| refuse("uri", &challenge.uri, "a URI"))?,
        version: challenge
            .version
            .parse::<Version>()
            .map_err(|_| refuse("version", &challenge.version, "`1`"))?,
        chain_id: u64::try_from(challenge.chain_id)
            .map_err(|_| refuse("chainId", &challenge.chain_id.to_string(), "a positive number"))?,
        nonce: challenge.nonce.clone(),
        issued_at: challenge
            .issued_at
            .parse()
            .map_err(|_| refuse("issuedAt", &challenge.issued_at, "an RFC 3339 timestamp"))?,
        expiration_time: None,
        not_before: None,
        request_id: None,
        resources: resources
            .iter()
            .map(|text| text.parse().map_err(|_| refuse("resources", text, "URIs")))
            .collect::<Result<_, _>>()?,
    };
    Ok(match format {
        SiweFormat::Eip4361 => message.to_string(),
        SiweFormat::Compact => compact(&message, wallet.address()),
    })
}

fn compact(message: &Message, address: &str) -> String {
    let mut text = format!(
        "{} wants you to sign in with your Ethereum account:\n{address}\n\n\
         URI: {}\nVersion: {}\nChain ID: {}\nNonce: {}\nIssued At: {}",
        message.domain,
        message.uri,
        message.version as u64,
        message.chain_id,
        message.nonce,
        message.issued_at,
    );
    // An empty list leaves no trace: the signed text must not end with a line break.
    if !message.resources.is_empty() {
        text.push_str("\nResources:");
        for resource in &message.resources {
            // Writing to a string does not fail.
            let _ = write!(text, "\n- {resource}");
        }
    }
    text
}

#[cfg(test)]
mod tests;
