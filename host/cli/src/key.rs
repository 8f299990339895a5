//! `key generate | address`.

use std::process::ExitCode;

use anyhow::Context as _;

use super::args::KeyCommand;
use posemesh_node_core::auth::wallet::Wallet;
use posemesh_node_core::config::environment;

/// Does a `key` command.
///
/// # Errors
/// When there is no key, or a wrong one.
pub fn key(command: KeyCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeyCommand::Generate => {
            let wallet = Wallet::generate();
            // The one place where a key is printed: the user asked for just that.
            println!("{}", wallet.private_hex().expose());
            eprintln!("address {}; keep the key secret, it is the node's identity", wallet.address());
        }
        KeyCommand::Address(args) => {
            let environment = environment(args.env_file.as_deref())?;
            let (hex, _) = environment.get("SECP256K1_PRIVHEX").context("SECP256K1_PRIVHEX is not set")?;
            println!("{}", Wallet::parse(hex)?.address());
        }
    }
    Ok(ExitCode::SUCCESS)
}
