//! Whether a server is reached: its name, the way to it, TLS, an answer, and its clock.

use std::net::SocketAddr;
use std::time::Duration;

use posemesh_net::clock::server_date;
use posemesh_net::http::{CertificateFault, cause, certificate_fault, client_builder, peer};
use posemesh_net::network::Network;
use posemesh_net::roots;
use posemesh_text::one_line;
use time::OffsetDateTime;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::Url;

use super::finding::{Area, Finding, Report};

/// How long each step may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// How far the clocks may differ without a word.
const TOLERATED_SKEW: i64 = 60;
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
    match client.get(url.clone()).send().await {
        Ok(response) => {
            report(Finding::ok(area, format_args!("{area} answers at {}", peer(url))));
            clock(area, server_date(response.headers()), report);
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

fn clock(area: Area, theirs: Option<OffsetDateTime>, report: Report<'_>) {
    let Some(theirs) = theirs else { return };
    let ahead = (OffsetDateTime::now_utc() - theirs).whole_seconds();
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    if ahead.abs() > TOLERATED_SKEW {
        report(Finding::warning(
            area,
            format_args!("this machine's clock is {} s {side} that of {area}", ahead.abs()),
            "set the clock (`timedatectl set-ntp true`): certificates and dates in logs go by it",
        ));
    }
}
