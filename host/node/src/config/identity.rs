//! Which identity the node has: a wallet or a robot, whichever is configured.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::environment::SettingSource;
use super::reader::SettingsReader;
use super::variable::{Group, Variable};
use crate::auth::identity::Identity;
use crate::auth::wallet::Wallet;
use posemesh_net::secret::Secret;
use posemesh_text::REDACTED;

const REG_SECRET: &str = "REG_SECRET";
const PRIVHEX: &str = "SECP256K1_PRIVHEX";
const ROBOT: &str = "ROBOT_REGISTRATION_CREDENTIALS";
const ROBOT_FILE: &str = "ROBOT_REGISTRATION_CREDENTIALS_FILE";

/// Credentials are a line; whatever is larger is another file.
const LARGEST_FILE: u64 = 64 << 10;

/// The variables of both identities.
struct IdentityVariables {
    reg_secret: Variable,
    privhex: Variable,
    robot: Variable,
    robot_file: Variable,
}

impl IdentityVariables {
    fn declare(reader: &mut SettingsReader<'_>) -> Self {
        let identity = |name, meaning: &'static str| Variable::new(Group::Identity, name, meaning);
        let variables = Self {
            reg_secret: identity(REG_SECRET, "The registration secret that DDS handed out for this node.")
                .section("1.4")
                .default_in_words("required for a wallet")
                .secret(),
            privhex: identity(
                PRIVHEX,
                "The private key of the node's wallet; `posemesh-node key generate` makes one.",
            )
            .section("1.1")
            .default_in_words("required for a wallet")
            .secret(),
            robot: identity(
                ROBOT,
                "The registration credentials of a robot, sent to DDS as they are. A robot has no wallet.",
            )
            .section("1.9")
            .secret(),
            robot_file: identity(
                ROBOT_FILE,
                "A file with the registration credentials of a robot, instead of \
                 `ROBOT_REGISTRATION_CREDENTIALS`.",
            )
            .section("1.9"),
        };
        reader.declare(&variables.reg_secret, "none", "any text");
        reader.declare(&variables.privhex, "none", "64 hex digits, with or without `0x` before them");
        reader.declare(&variables.robot, "none", "any text");
        reader.declare(
            &variables.robot_file,
            "none",
            format!("a path of a file of at most {LARGEST_FILE} bytes"),
        );
        variables
    }
}

pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<Identity> {
    let variables = IdentityVariables::declare(reader);
    let reg_secret = reader.raw(REG_SECRET);
    let privhex = reader.raw(PRIVHEX);
    let robot = reader.raw(ROBOT);
    let robot_file = reader.raw(ROBOT_FILE);
    match (reg_secret.is_some() || privhex.is_some(), robot.is_some() || robot_file.is_some()) {
        // Neither is preferred: a guess could run the node under an identity that nobody meant.
        (true, true) => {
            let message = "a node is either a wallet or a robot: \
                unset REG_SECRET and SECP256K1_PRIVHEX, or the ROBOT_REGISTRATION_CREDENTIALS variables";
            reader.problem(&variables.reg_secret, Some(REDACTED), message.to_owned());
            None
        }
        (false, true) => read_robot(reader, &variables, robot, robot_file),
        (true, false) => read_wallet(reader, &variables, reg_secret, privhex),
        (false, false) => {
            let message = "REG_SECRET required, together with SECP256K1_PRIVHEX, for a node with a wallet; \
                or ROBOT_REGISTRATION_CREDENTIALS or ROBOT_REGISTRATION_CREDENTIALS_FILE for a robot";
            reader.problem(&variables.reg_secret, None, message.to_owned());
            let message = "SECP256K1_PRIVHEX required, unless the node is a robot";
            reader.problem(&variables.privhex, None, message.to_owned());
            None
        }
    }
}

fn read_wallet(
    reader: &mut SettingsReader<'_>,
    variables: &IdentityVariables,
    reg_secret: Option<(&str, SettingSource)>,
    privhex: Option<(&str, SettingSource)>,
) -> Option<Identity> {
    match reg_secret {
        Some((_, source)) => reader.setting(&variables.reg_secret, REDACTED, source),
        None => reader.problem(
            &variables.reg_secret,
            None,
            "REG_SECRET required: the registration secret that DDS handed out for this node".to_owned(),
        ),
    }
    let wallet = match privhex.map(|(hex, source)| (Wallet::parse(hex), source)) {
        Some((Ok(wallet), source)) => {
            reader.setting(&variables.privhex, format!("{REDACTED} (address {})", wallet.address()), source);
            Some(wallet)
        }
        Some((Err(error), _)) => {
            reader.problem(&variables.privhex, Some(REDACTED), error.to_string());
            None
        }
        None => {
            let message = "SECP256K1_PRIVHEX required: the private key of the node's wallet, 64 hex digits";
            reader.problem(&variables.privhex, None, message.to_owned());
            None
        }
    };
    // Not earlier, so that the problems of both variables are found.
    let (secret, _) = reg_secret?;
    Some(Identity::Wallet { reg_secret: Secret::new(secret), wallet: Arc::new(wallet?) })
}

fn read_robot(
    reader: &mut SettingsReader<'_>,
    variables: &IdentityVariables,
    given: Option<(&str, SettingSource)>,
    file: Option<(&str, SettingSource)>,
) -> Option<Identity> {
    match (given, file) {
        (Some(_), Some((path, _))) => {
            let message = format!("{ROBOT} and {ROBOT_FILE} are mutually exclusive: unset one of them");
            reader.problem(&variables.robot_file, Some(path), message);
            None
        }
        (Some((credentials, source)), None) => {
            reader.setting(&variables.robot, REDACTED, source);
            Some(Identity::Robot { credentials: Secret::new(credentials) })
        }
        (None, Some((path, source))) => match read_file(path) {
            Ok(credentials) => {
                reader.setting(&variables.robot_file, path, source);
                Some(Identity::Robot { credentials })
            }
            Err(message) => {
                reader.problem(&variables.robot_file, Some(path), message);
                None
            }
        },
        (None, None) => None,
    }
}

fn read_file(path: &str) -> Result<Secret, String> {
    let mut text = Zeroizing::new(String::new());
    // One byte more than allowed shows that there is too much, even for a pipe, which has no size to ask for.
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_string(&mut text))
        .map_err(|error| format!("read robot registration credentials file: {error}"))?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(format!("the robot registration credentials file has more than {LARGEST_FILE} bytes"));
    }
    match text.trim() {
        "" => Err("the robot registration credentials file must not be empty".to_owned()),
        credentials => Ok(Secret::new(credentials)),
    }
}
