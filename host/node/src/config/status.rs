//! Where the node reports about itself, who may command it, and the inbound routes of old.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::environment::SettingSource;
use super::reader::{ReadSecret, SettingsReader};
use super::secret_name::ADMIN_TOKEN;
use super::variable::{Group, Variable};
use crate::auth::identity::Identity;
use crate::status::StatusSettings;
use posemesh_net::secret::Secret;
use posemesh_text::REDACTED;

/// A shorter token can be guessed.
const SHORTEST_TOKEN: usize = 24;
/// So can one that repeats a few characters.
const FEWEST_CHARACTERS: usize = 8;

pub(super) fn read(reader: &mut SettingsReader<'_>) -> StatusSettings {
    let default = StatusSettings::default();
    let addr = read_addr(reader, default.addr);
    StatusSettings { addr, admin_token: read_token(reader) }
}

fn read_addr(reader: &mut SettingsReader<'_>, default: Option<SocketAddr>) -> Option<SocketAddr> {
    const ALLOWED: &str = "IP:PORT, such as 127.0.0.1:8090, or `off`";
    let variable = Variable::new(
        Group::Status,
        "STATUS_ADDR",
        "Where the status server listens: health, readiness, metrics, runners and tasks. `plugin list`, \
         `plugin rescan`, `plugin rollback`, `plugin close-breaker`, `drain` and `resume` ask there. If it is taken, \
         the node does not start.",
    );
    let default = default.map_or_else(|| "off".to_owned(), |addr| addr.to_string());
    let shown = reader.value(&variable, default, ALLOWED, |text| {
        let usable = text == "off" || text.parse::<SocketAddr>().is_ok();
        usable.then(|| text.to_owned()).ok_or_else(|| format!("not an address; allowed: {ALLOWED}"))
    });
    shown.parse().ok()
}

fn read_token(reader: &mut SettingsReader<'_>) -> Option<Secret> {
    let variable = Variable::new(
        Group::Status,
        ADMIN_TOKEN.name,
        "What calls to `/api/admin/` must carry as their bearer: rescan, rollback, close-breaker, drain, resume. \
         Without it there are no such calls.",
    )
    .secret();
    let allowed = format!(
        "at least {SHORTEST_TOKEN} printable ASCII characters, {FEWEST_CHARACTERS} of them different"
    );
    let (token, source) = match reader.secret(ADMIN_TOKEN, &variable, &allowed) {
        ReadSecret::Set(token, source) => (token, source),
        ReadSecret::Unset => {
            reader.setting_in_words(&variable, "unset: no admin calls", SettingSource::Default);
            return None;
        }
        ReadSecret::Unusable => return None,
    };
    let text = token.expose();
    let characters: BTreeSet<char> = text.chars().collect();
    if text.len() < SHORTEST_TOKEN
        || characters.len() < FEWEST_CHARACTERS
        || !text.bytes().all(|byte| byte.is_ascii_graphic())
    {
        let message = format!("too weak; allowed: {allowed}, such as `openssl rand -hex 24` prints");
        reader.problem(&variable, Some(text), message);
        return None;
    }
    reader.setting(&variable, REDACTED, source);
    Some(token)
}

pub(super) fn read_legacy_addr(
    reader: &mut SettingsReader<'_>,
    identity: Option<&Identity>,
) -> Option<SocketAddr> {
    let variable = Variable::new(
        Group::Status,
        "LEGACY_HTTP_ADDR",
        "Where the inbound routes are served that an old DDS calls; not for robots. Whoever reaches them can call \
         them.",
    )
    .section("1.10");
    let addr = reader.address(&variable);
    if let (Some(addr), Some(Identity::Robot { .. })) = (addr, identity) {
        let message = "a robot has no such routes: unset it".to_owned();
        reader.problem(&variable, Some(&addr.to_string()), message);
    }
    addr
}
