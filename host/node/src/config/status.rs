//! Where the node reports about itself, who may command it, and the inbound routes of old.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::environment::{Environment, SettingSource};
use super::reader::{ReadSecret, SettingsReader};
use super::secret_name::{ADMIN_TOKEN, STATUS_TOKEN, SecretName};
use super::variable::{Group, Variable};
use crate::auth::identity::Identity;
use crate::control::SocketPlace;
use crate::status::StatusSettings;
use posemesh_net::secret::Secret;
use posemesh_text::REDACTED;

/// Where the Unix socket is.
const CONTROL_SOCKET: &str = "CONTROL_SOCKET";
const AUTO: &str = "auto";
const OFF: &str = "off";
/// A shorter token can be guessed.
const SHORTEST_TOKEN: usize = 24;
/// So can one that repeats a few characters.
const FEWEST_CHARACTERS: usize = 8;

pub(super) fn read(reader: &mut SettingsReader<'_>) -> StatusSettings {
    let default = StatusSettings::default();
    let addr = read_addr(reader, default.addr);
    let socket = read_socket(reader);
    let admin_token = read_token(reader, &admin_token(), "unset: admin calls by the control socket alone");
    let status_token = read_token(reader, &status_token(), "unset: other machines can't read");
    StatusSettings { addr, admin_token, status_token, socket }
}

fn read_addr(reader: &mut SettingsReader<'_>, default: Option<SocketAddr>) -> Option<SocketAddr> {
    const ALLOWED: &str = "IP:PORT, such as 127.0.0.1:8090, or `off`";
    let variable = Variable::new(
        Group::Status,
        "STATUS_ADDR",
        "Where the status server listens: health, readiness, metrics, runners and tasks. `plugin list`, \
         `plugin rescan` and the others ask there if they find no control socket. If it is taken, the node does not start. On an \
         address that other machines reach, reading takes a token (`STATUS_TOKEN`), but for `/health`, `/metrics` and whether \
         `/ready`.",
    );
    let default = default.map_or_else(|| "off".to_owned(), |addr| addr.to_string());
    let shown = reader.value(&variable, default, ALLOWED, |text| {
        let usable = text == "off" || text.parse::<SocketAddr>().is_ok();
        usable.then(|| text.to_owned()).ok_or_else(|| format!("not an address; allowed: {ALLOWED}"))
    });
    shown.parse().ok()
}

fn read_socket(reader: &mut SettingsReader<'_>) -> SocketPlace {
    let variable = Variable::new(
        Group::Status,
        CONTROL_SOCKET,
        "The Unix socket that commands on this machine ask (`status`, `pause`, `drain`, `reload`, `log-level`, `plugin list`, \
         `plugin rollback` and so on), without a token: the kernel says who calls, and this user and root are answered. `auto`: \
         `control.sock` in the node's folder below `WORK_DIR`, where commands find it.",
    );
    let shown = reader.value(&variable, AUTO.to_owned(), "auto, the path of a socket, or `off`", |text| {
        Ok::<_, String>(text.to_owned())
    });
    socket_place(&shown)
}

impl Environment {
    /// Where a node with this environment has its Unix socket.
    pub fn control_socket(&self) -> SocketPlace {
        self.get(CONTROL_SOCKET).map_or_else(SocketPlace::default, |(value, _)| socket_place(value))
    }
}

/// Where the socket is that a value of `CONTROL_SOCKET` stands for.
fn socket_place(value: &str) -> SocketPlace {
    match value {
        AUTO => SocketPlace::Own,
        OFF => SocketPlace::Off,
        path => SocketPlace::At(PathBuf::from(path)),
    }
}

fn admin_token() -> (SecretName, Variable) {
    let meaning = "What calls to `/api/admin/` must carry as their bearer unless they come by the control socket: rescan, \
                   rollback, close-breaker, drain, resume, log, reload. Without it there are no such calls by `STATUS_ADDR`.";
    (ADMIN_TOKEN, Variable::new(Group::Status, ADMIN_TOKEN.name, meaning))
}

fn status_token() -> (SecretName, Variable) {
    let meaning = "What calls from other machines must carry as their bearer to read more than `/health`, `/metrics` and \
                   whether `/ready`. The `ADMIN_TOKEN` does as well. On this machine, by a loopback address, reading needs no \
                   token.";
    (STATUS_TOKEN, Variable::new(Group::Status, STATUS_TOKEN.name, meaning))
}

fn read_token(
    reader: &mut SettingsReader<'_>,
    (names, variable): &(SecretName, Variable),
    unset: &str,
) -> Option<Secret> {
    let variable = variable.clone().secret();
    let allowed = format!(
        "at least {SHORTEST_TOKEN} printable ASCII characters, {FEWEST_CHARACTERS} of them different"
    );
    let (token, source) = match reader.secret(*names, &variable, &allowed) {
        ReadSecret::Set(token, source) => (token, source),
        ReadSecret::Unset => {
            reader.setting_in_words(&variable, unset, SettingSource::Default);
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
