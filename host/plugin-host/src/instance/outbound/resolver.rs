//! Names to addresses, each checked before anything connects to one of them.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::manifest::host_rule::is_public;

/// Timeout of a name server.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A name stands for an address that may not be reached.
#[derive(Debug, thiserror::Error)]
#[error(
    "{name} stands for {address}, which is not a public address; private_network_hosts in NAME.toml allows it"
)]
pub(crate) struct ProhibitedAddress {
    name: String,
    address: std::net::IpAddr,
}

/// Resolves a name once and gives out its addresses only if all of them are allowed: one private address
/// among public ones is how a name is made to lead inside.
pub(crate) struct CheckedResolver {
    /// Whether private addresses are allowed too.
    pub(crate) private: bool,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().trim_end_matches('.').to_owned();
        let private = self.private;
        Box::pin(async move {
            // Port 0 stands for none: the client puts the URL's port in its place.
            let looked_up = tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((name.as_str(), 0)));
            let addresses: Vec<SocketAddr> = looked_up
                .await
                .map_err(|_| format!("looking up {name} took more than {TIMEOUT:?}"))??
                .collect();
            check(&name, &addresses, private)?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Whether all addresses may be reached.
fn check(name: &str, addresses: &[SocketAddr], private: bool) -> Result<(), ProhibitedAddress> {
    let forbidden = addresses.iter().map(SocketAddr::ip).find(|address| !private && !is_public(*address));
    match forbidden {
        Some(address) => Err(ProhibitedAddress { name: name.to_owned(), address }),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_private_address_among_public_ones_is_enough_to_refuse() {
        let addresses: Vec<SocketAddr> =
            ["93.184.216.34:0", "127.0.0.1:0"].iter().map(|text| text.parse().unwrap()).collect();
        check("x.org", addresses.get(..1).unwrap(), false).unwrap();
        let error = check("x.org", &addresses, false).unwrap_err().to_string();
        assert!(error.contains("x.org") && error.contains("127.0.0.1"), "{error}");
        check("x.org", &addresses, true).unwrap();
    }
}
