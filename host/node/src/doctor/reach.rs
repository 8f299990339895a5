//! Whether a server is reached: its name, the way to it, TLS, an answer, and its clock.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use posemesh_net::clock::{TOLERATED_SKEW_SECS, skew};
use posemesh_net::http::{CertificateFault, cause, certificate_fault, client_builder, peer};
use posemesh_net::network::Network;
use posemesh_net::roots;
use posemesh_text::one_line;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::Url;

use super::finding::{Area, Finding, Report};

/// How long each step may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a host's name is shown, in bytes.
const SHOWN_HOST: usize = 260;
/// How many addresses of a name are tried.
const MOST_ADDRESSES: usize = 4;

/// Goes to the server step by step; true if it answers.
pub(super) async fn examine(area: Area, url: &Url, report: Report<'_>) -> bool {
    let Some(addresses) = resolve(area, url, report).await else { return false };
    if !connect(area, url, &addresses, report).await {
        return false;
    }
    ask(area, url, report).await
}

/// The host and port that is connected to: the proxy's, if there is one in between.
fn first_hop(url: &Url) -> (String, u16, bool) {
    let network = Network::current();
    let proxy = network.proxies.for_url(url).map(|proxy| proxy.host_and_port());
    match proxy {
        Some((host, port)) => (host, port, true),
        None => {
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            (host, url.port_or_known_default().unwrap_or_default(), false)
        }
    }
}

fn named(area: Area, is_proxy: bool) -> String {
    if is_proxy { format!("the proxy for {area}") } else { area.to_string() }
}

async fn resolve(area: Area, url: &Url, report: Report<'_>) -> Option<Vec<SocketAddr>> {
    let (host, port, is_proxy) = first_hop(url);
    let whose = named(area, is_proxy);
    let shown = one_line(&host, SHOWN_HOST);
    let cure =
        "is the name right, and is there a name server (/etc/resolv.conf)? `getent hosts NAME` asks it too";
    match timeout(STEP_TIMEOUT, lookup_host((host.as_str(), port))).await {
        Ok(Ok(found)) => {
            let found: Vec<SocketAddr> = found.take(MOST_ADDRESSES).collect();
            if found.is_empty() {
                report(Finding::error(area, format_args!("{whose}: the name {shown} has no address"), cure));
                return None;
            }
            Some(found)
        }
        Ok(Err(error)) => {
            report(Finding::error(
                area,
                format_args!("{whose}: the name {shown} could not be resolved: {error}"),
                cure,
            ));
            None
        }
        Err(_) => {
            let waited = STEP_TIMEOUT.as_secs();
            report(Finding::error(
                area,
                format_args!("{whose}: the name {shown} was not resolved within {waited} s"),
                cure,
            ));
            None
        }
    }
}

async fn connect(area: Area, url: &Url, addresses: &[SocketAddr], report: Report<'_>) -> bool {
    let (_, _, is_proxy) = first_hop(url);
    let mut last = String::new();
    for address in addresses {
        match timeout(STEP_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return true,
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Err(_) => last = format!("{address}: no answer within {} s", STEP_TIMEOUT.as_secs()),
        }
    }
    let cure = match is_proxy {
        true => {
            "is the proxy's address right (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY), and does it run? NO_PROXY names \
                 hosts that need none"
        }
        false => {
            "does the server run, and does a firewall let this machine out? Where only a proxy leads out, \
                  HTTPS_PROXY names it"
        }
    };
    report(Finding::error(
        area,
        format_args!("{} could not be connected to: {last}", named(area, is_proxy)),
        cure,
    ));
    false
}

/// Any answer will do: what matters is that there is one, and by what clock.
async fn ask(area: Area, url: &Url, report: Report<'_>) -> bool {
    let client = match client_builder().timeout(STEP_TIMEOUT).build() {
        Ok(client) => client,
        Err(error) => {
            report(Finding::error(area, format_args!("no client could be made: {}", cause(&error)), ""));
            return false;
        }
    };
    let sent = Instant::now();
    match client.get(url.clone()).send().await {
        Ok(response) => {
            report(Finding::ok(area, format_args!("{area} answers at {}", peer(url))));
            clock(area, skew(response.headers(), sent.elapsed()), report);
            true
        }
        Err(error) => {
            report(Finding::error(
                area,
                format_args!("{area} gives no answer: {}", cause(&error)),
                cure(&error),
            ));
            false
        }
    }
}

fn cure(error: &reqwest::Error) -> &'static str {
    match certificate_fault(error) {
        Some(CertificateFault::UnknownIssuer) => roots::CURE,
        Some(CertificateFault::Other) => {
            "is the server's name the one in its certificate, has that expired, and is this machine's clock right (`date`)?"
        }
        None if error.is_timeout() => {
            "is the server overloaded, or is there a firewall or proxy that lets nothing through?"
        }
        None => "does the port speak what the URL says, http or https?",
    }
}

/// Tells the difference in any case: one that is small today may grow.
fn clock(area: Area, theirs_ahead: Option<time::Duration>, report: Report<'_>) {
    let Some(ahead) = theirs_ahead.map(|ahead| ahead.as_seconds_f64().round()) else { return };
    let text = match ahead {
        0.0 => format!("this machine's clock is as that of {area}, to the second"),
        _ => {
            let side = if ahead < 0.0 { "ahead of" } else { "behind" };
            format!("this machine's clock is {} s {side} that of {area}", ahead.abs())
        }
    };
    report(if ahead.abs() > TOLERATED_SKEW_SECS {
        let cure =
            "set the clock (`timedatectl set-ntp true`): certificates, logins and dates in logs go by it";
        Finding::warning(area, text, cure)
    } else {
        Finding::ok(area, text)
    });
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn the_clock_is_told_in_any_case_and_warned_of_beyond_what_alerts_tolerate() {
        for (ahead_ms, level, said) in [
            (400, Level::Ok, "is as that of DDS, to the second"),
            (-9_700, Level::Ok, "is 10 s ahead of that of DDS"),
            (11_000, Level::Warning, "is 11 s behind that of DDS"),
        ] {
            let mut found = Vec::new();
            let ahead = Some(time::Duration::milliseconds(ahead_ms));
            clock(Area::Dds, ahead, &mut |finding| found.push(finding));
            assert!(found.len() == 1, "{found:?}");
            for finding in found {
                assert!(finding.level == level && finding.text.contains(said), "{finding:?}");
            }
        }
    }
}
