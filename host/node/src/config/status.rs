//! `STATUS_ADDR` and `ADMIN_TOKEN`: what the node tells about itself, and who may tell it what to do.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::environment::Source;
use super::reader::{REDACTED, Reader};
use posemesh_net::secret::Secret;

/// Where the node tells about itself when nobody says otherwise.
pub const USUAL_ADDR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8090);
/// A shorter token can be guessed.
const SHORTEST: usize = 24;
/// So can one that repeats a few characters.
const FEWEST_CHARACTERS: usize = 8;

/// The status server's settings.
#[derive(Debug, Clone)]
pub struct StatusConfig {
    /// Where it listens; none: nowhere.
    pub addr: Option<SocketAddr>,
    /// Whether the operator chose the address: it has to be free then.
    pub chosen: bool,
    /// What admin calls must carry; none: there are no admin calls.
    pub admin_token: Option<Secret>,
}

impl StatusConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let chosen = reader.raw("STATUS_ADDR").is_some();
        let addr = read_addr(reader);
        Self { addr, chosen, admin_token: read_token(reader) }
    }
}

fn read_addr(reader: &mut Reader<'_>) -> Option<SocketAddr> {
    let shown = reader.value("STATUS_ADDR", USUAL_ADDR.to_string(), |text| {
        let usable = text == "off" || text.parse::<SocketAddr>().is_ok();
        let help = || "not an address; allowed: IP:PORT, such as 127.0.0.1:8090, or `off`".to_owned();
        usable.then(|| text.to_owned()).ok_or_else(help)
    });
    shown.parse().ok()
}

fn read_token(reader: &mut Reader<'_>) -> Option<Secret> {
    const NAME: &str = "ADMIN_TOKEN";
    let Some((text, source)) = reader.raw(NAME) else {
        reader.setting(NAME, "unset: no admin calls", Source::Default);
        return None;
    };
    let characters: BTreeSet<char> = text.chars().collect();
    if text.len() < SHORTEST
        || characters.len() < FEWEST_CHARACTERS
        || !text.bytes().all(|b| b.is_ascii_graphic())
    {
        let message = format!(
            "too weak; allowed: at least {SHORTEST} printable ASCII characters, {FEWEST_CHARACTERS} of them \
             different, such as `openssl rand -hex 24` prints"
        );
        reader.secret_problem(NAME, message);
        return None;
    }
    reader.setting(NAME, REDACTED, source);
    Some(Secret::new(text))
}
