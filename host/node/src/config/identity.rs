//! Which identity the node has: a wallet or a robot, whichever is configured.

use std::sync::Arc;

use super::reader::{ReadSecret, SettingsReader};
use super::secret_name::{PRIVATE_KEY, REG_SECRET, ROBOT_CREDENTIALS};
use super::variable::{Group, Variable};
use crate::auth::identity::Identity;
use crate::auth::wallet::Wallet;
use posemesh_text::REDACTED;

/// The variables of both identities.
struct IdentityVariables {
    reg_secret: Variable,
    privhex: Variable,
    robot: Variable,
}

impl IdentityVariables {
    fn new() -> Self {
        let identity = |name, meaning: &'static str| Variable::new(Group::Identity, name, meaning).secret();
        Self {
            reg_secret: identity(
                REG_SECRET.name,
                "The registration secret that DDS handed out for this node.",
            )
            .section("1.4")
            .default_in_words("required for a wallet"),
            privhex: identity(
                PRIVATE_KEY.name,
                "The private key of the node's wallet; `posemesh-node key generate` makes one.",
            )
            .section("1.1")
            .default_in_words("required for a wallet"),
            robot: identity(
                ROBOT_CREDENTIALS.name,
                "The registration credentials of a robot, sent to DDS as they are. A robot has no wallet.",
            )
            .section("1.9"),
        }
    }
}

pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<Identity> {
    let variables = IdentityVariables::new();
    let reg_secret = reader.secret(REG_SECRET, &variables.reg_secret, "any text");
    let privhex =
        reader.secret(PRIVATE_KEY, &variables.privhex, "64 hex digits, with or without `0x` before them");
    let robot = reader.secret(ROBOT_CREDENTIALS, &variables.robot, "any text");
    match (reg_secret.is_given() || privhex.is_given(), robot) {
        (false, ReadSecret::Set(credentials, source)) => {
            reader.setting(&variables.robot, REDACTED, source);
            Some(Identity::Robot { credentials })
        }
        (false, ReadSecret::Unusable) => None,
        (true, ReadSecret::Unset) => read_wallet(reader, &variables, reg_secret, privhex),
        // Neither is preferred: a guess could run the node under an identity that nobody meant.
        (true, ReadSecret::Set(..) | ReadSecret::Unusable) => {
            let message = "a node is either a wallet or a robot: \
                unset REG_SECRET and SECP256K1_PRIVHEX, or ROBOT_REGISTRATION_CREDENTIALS, and what names their files";
            reader.problem(&variables.reg_secret, Some(REDACTED), message.to_owned());
            None
        }
        (false, ReadSecret::Unset) => {
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
    reg_secret: ReadSecret,
    privhex: ReadSecret,
) -> Option<Identity> {
    let reg_secret = match reg_secret {
        ReadSecret::Set(secret, source) => {
            reader.setting(&variables.reg_secret, REDACTED, source);
            Some(secret)
        }
        ReadSecret::Unset => {
            let message = "REG_SECRET required: the registration secret that DDS handed out for this node, or REG_SECRET_FILE";
            reader.problem(&variables.reg_secret, None, message.to_owned());
            None
        }
        ReadSecret::Unusable => None,
    };
    let wallet = match privhex {
        ReadSecret::Set(hex, source) => match Wallet::parse(hex.expose()) {
            Ok(wallet) => {
                let shown = format!("{REDACTED} (address {})", wallet.address());
                reader.setting(&variables.privhex, shown, source);
                Some(wallet)
            }
            Err(error) => {
                reader.problem(&variables.privhex, Some(REDACTED), error.to_string());
                None
            }
        },
        ReadSecret::Unset => {
            let message = "SECP256K1_PRIVHEX required: the private key of the node's wallet, 64 hex digits, or \
                SECP256K1_PRIVHEX_FILE";
            reader.problem(&variables.privhex, None, message.to_owned());
            None
        }
        ReadSecret::Unusable => None,
    };
    // Not earlier, so that the problems of both are found.
    Some(Identity::Wallet { reg_secret: reg_secret?, wallet: Arc::new(wallet?) })
}
