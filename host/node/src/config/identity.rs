//! Who the node is: a wallet or a robot, whichever is configured (protocol 1.1, 1.9 and 8).

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};
use zeroize::Zeroizing;

use crate::auth::wallet::Wallet;
use posemesh_net::secret::Secret;

use super::environment::Source;
use super::reader::{REDACTED, Reader};

const REG_SECRET: &str = "REG_SECRET";
const PRIVHEX: &str = "SECP256K1_PRIVHEX";
const ROBOT: &str = "ROBOT_REGISTRATION_CREDENTIALS";
const ROBOT_FILE: &str = "ROBOT_REGISTRATION_CREDENTIALS_FILE";

/// Credentials are a line; whatever is larger is another file.
const LARGEST_FILE: u64 = 64 << 10;

/// How the node proves who it is.
#[derive(Debug, Clone)]
pub enum Identity {
    /// A node with a wallet, which signs in with Ethereum.
    Wallet {
        /// `REG_SECRET`: `registration_credentials` on the wire.
        reg_secret: Secret,
        /// The key of `SECP256K1_PRIVHEX`.
        wallet: Arc<Wallet>,
    },
    /// A robot, which shows its credentials.
    Robot {
        /// `ROBOT_REGISTRATION_CREDENTIALS`, opaque.
        credentials: Secret,
    },
}

/// The client id of a node that was given none. Domain servers charge by it, so a wallet keeps its own over
/// restarts and machines. What a robot has that stays is a secret, of which not even a hash is shown.
pub(super) fn client_id(identity: Option<&Identity>) -> String {
    let id = match identity {
        Some(Identity::Wallet { wallet, .. }) => {
            let digest: [u8; 32] = Sha256::digest(format!("posemesh-client-id:{}", wallet.address())).into();
            let mut bytes = [0; 16];
            bytes.copy_from_slice(digest.split_at(16).0);
            Builder::from_custom_bytes(bytes).into_uuid()
        }
        _ => Uuid::new_v4(),
    };
    format!("posemesh-compute-node/{id}")
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Identity> {
    let reg_secret = reader.raw(REG_SECRET);
    let privhex = reader.raw(PRIVHEX);
    let robot = reader.raw(ROBOT);
    let robot_file = reader.raw(ROBOT_FILE);
    match (reg_secret.is_some() || privhex.is_some(), robot.is_some() || robot_file.is_some()) {
        (true, true) => {
            let message = "a node is either a wallet or a robot: \
                unset REG_SECRET and SECP256K1_PRIVHEX, or the ROBOT_REGISTRATION_CREDENTIALS variables";
            reader.secret_problem(REG_SECRET, message.to_owned());
            None
        }
        (false, true) => read_robot(reader, robot, robot_file),
        (true, false) => read_wallet(reader, reg_secret, privhex),
        (false, false) => {
            let message = "REG_SECRET required, together with SECP256K1_PRIVHEX, for a node with a wallet; \
                or ROBOT_REGISTRATION_CREDENTIALS or ROBOT_REGISTRATION_CREDENTIALS_FILE for a robot";
            reader.problem(REG_SECRET, None, message.to_owned());
            reader.problem(
                PRIVHEX,
                None,
                "SECP256K1_PRIVHEX required, unless the node is a robot".to_owned(),
            );
            None
        }
    }
}

fn read_wallet(
    reader: &mut Reader<'_>,
    reg_secret: Option<(&str, Source)>,
    privhex: Option<(&str, Source)>,
) -> Option<Identity> {
    match reg_secret {
        Some((_, source)) => reader.setting(REG_SECRET, REDACTED, source),
        None => reader.problem(
            REG_SECRET,
            None,
            "REG_SECRET required: the registration secret that DDS handed out for this node".to_owned(),
        ),
    }
    let wallet = match privhex.map(|(hex, source)| (Wallet::parse(hex), source)) {
        Some((Ok(wallet), source)) => {
            reader.setting(PRIVHEX, format!("{REDACTED} (address {})", wallet.address()), source);
            Some(wallet)
        }
        Some((Err(error), _)) => {
            reader.secret_problem(PRIVHEX, error.to_string());
            None
        }
        None => {
            let message = "SECP256K1_PRIVHEX required: the private key of the node's wallet, 64 hex digits";
            reader.problem(PRIVHEX, None, message.to_owned());
            None
        }
    };
    let (secret, _) = reg_secret?;
    Some(Identity::Wallet { reg_secret: Secret::new(secret), wallet: Arc::new(wallet?) })
}

fn read_robot(
    reader: &mut Reader<'_>,
    given: Option<(&str, Source)>,
    file: Option<(&str, Source)>,
) -> Option<Identity> {
    match (given, file) {
        (Some(_), Some((path, _))) => {
            let message = format!("{ROBOT} and {ROBOT_FILE} are mutually exclusive: unset one of them");
            reader.problem(ROBOT_FILE, Some(path), message);
            None
        }
        (Some((credentials, source)), None) => {
            reader.setting(ROBOT, REDACTED, source);
            Some(Identity::Robot { credentials: Secret::new(credentials) })
        }
        (None, Some((path, source))) => match read_file(path) {
            Ok(credentials) => {
                reader.setting(ROBOT_FILE, path, source);
                Some(Identity::Robot { credentials })
            }
            Err(message) => {
                reader.problem(ROBOT_FILE, Some(path), message);
                None
            }
        },
        (None, None) => None,
    }
}

fn read_file(path: &str) -> Result<Secret, String> {
    let mut text = Zeroizing::new(String::new());
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
