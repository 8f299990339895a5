//! Which hosts a runner may reach, as rules: pure functions, no sockets. `outbound` applies them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use posemesh_text::one_line;
use serde::{Deserialize, Serialize};

/// How much of a rule that is none is shown, in bytes: it is text from a stranger.
const MAX_SHOWN: usize = 80;

/// A host that a runner may reach: `example.com`, `*.example.com` or `example.com:8443`. Without a port it stands for the default port
/// of the scheme, 80 or 443. `*.` stands for one or more labels, not for the domain itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostRule {
    /// Whether it began with `*.`.
    any_below: bool,
    /// A name in lower case or an address; IPv6 without brackets.
    host: String,
    port: Option<u16>,
}

impl HostRule {
    /// Whether it allows this host and port. `default_port` is the scheme's.
    pub(crate) fn allows(&self, host: &str, port: u16, default_port: u16) -> bool {
        self.port.unwrap_or(default_port) == port && self.matches(host)
    }

    /// Whether all that `other` allows, this allows too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        // `*.a.b` lies below `*.b` as any name `x.a.b` does.
        let wide_enough = self.any_below || !other.any_below;
        let same = self.any_below == other.any_below && self.host == other.host;
        self.port == other.port && (same || (wide_enough && self.matches(&other.host)))
    }

    fn matches(&self, host: &str) -> bool {
        if !self.any_below {
            return self.host == host;
        }
        let below = host.strip_suffix(&self.host).and_then(|rest| rest.strip_suffix('.'));
        below.is_some_and(|label| !label.is_empty())
    }
}

impl FromStr for HostRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown = one_line(text, MAX_SHOWN);
        let wrong = |why: &str| {
            format!(
                "host \"{shown}\": {why}; allowed: example.com, *.example.com, example.com:8443, [::1]:8080"
            )
        };
        let (any_below, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        // The URL parser brings names and addresses into the one form in which requests have them.
        let url = url::Url::parse(&format!("none://{rest}")).map_err(|error| wrong(&error.to_string()))?;
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if !plain || url.fragment().is_some() || !matches!(url.path(), "" | "/") || rest.ends_with('/') {
            return Err(wrong("it is a host and maybe a port, nothing more"));
        }
        // Once more as a scheme that the parser knows: only then are names lower-cased and addresses recognised.
        let https = url::Url::parse(&format!("https://{rest}")).map_err(|error| wrong(&error.to_string()))?;
        let host = match https.host() {
            Some(url::Host::Domain(name)) if name.contains(['*', '%']) => {
                return Err(wrong("a * stands at the beginning only"));
            }
            // A dot at the end names the same host; requests are compared without it.
            Some(url::Host::Domain(name)) => name.trim_end_matches('.').to_owned(),
            Some(url::Host::Ipv4(address)) if !any_below => address.to_string(),
            Some(url::Host::Ipv6(address)) if !any_below => address.to_string(),
            _ => return Err(wrong("there is no host")),
        };
        if host.is_empty() {
            return Err(wrong("there is no host"));
        }
        Ok(Self { any_below, host, port: url.port() })
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        let star = if self.any_below { "*." } else { "" };
        // Only IPv6 addresses have colons; without brackets their end could be read as a port.
        if host.contains(':') {
            write!(f, "[{host}]")?
        } else {
            write!(f, "{star}{host}")?
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl TryFrom<String> for HostRule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<HostRule> for String {
    fn from(rule: HostRule) -> Self {
        rule.to_string()
    }
}

/// What a runner gets of what it asked for: rules that both sides agree on. A wide wish meets a narrow
/// permission in the narrow one.
pub(crate) fn agreed(asked: &[HostRule], allowed: &[HostRule]) -> Vec<HostRule> {
    let mut agreed: Vec<HostRule> = Vec::new();
    let within = |rule: &&HostRule, others: &[HostRule]| others.iter().any(|other| other.covers(rule));
    let narrow = asked.iter().filter(|rule| within(rule, allowed));
    for rule in narrow.chain(allowed.iter().filter(|rule| within(rule, asked))) {
        if !agreed.contains(rule) {
            agreed.push(rule.clone());
        }
    }
    agreed
}

/// Whether an address is one of the public internet. Everything else (loopback, private and link-local
/// networks, cloud metadata, multicast, reserved and translated ranges) needs the operator's word.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            // The kernel connects such an address by IPv4, so the rules of IPv4 decide.
            Some(mapped) => is_public_v4(mapped),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [224..=255, ..]
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Only 2000::/3 is given out; the prefixes below are carved out of it, and each can lead to an IPv4
    // address or to nowhere.
    match address.segments() {
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x2002, ..] => false,
        [0x3fff, 0..=0x0fff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests;
