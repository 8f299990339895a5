//! `key generate` and `key address`: the key that identifies the node.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use posemesh_node_core::auth::wallet::Wallet;

use crate::env_file::EnvFileArgs;
use crate::output::{out, tell};

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Print a new private key for SECP256K1_PRIVHEX on standard output, its address on standard error.
    Generate,
    /// Print the address of the key in SECP256K1_PRIVHEX.
    Address(EnvFileArgs),
}

/// Prints a new key, or the address of the one that is set.
///
/// # Errors
/// When no key is set, or it is not valid.
pub(crate) fn run(command: KeyCommand) -> Result<ExitCode> {
    match command {
        KeyCommand::Generate => {
            let wallet = Wallet::generate();
            // The only place that prints a key: the user has asked for exactly that.
            out!("{}", wallet.private_hex().expose());
            tell!("address {}; keep the key secret, it is the node's identity", wallet.address());
        }
        KeyCommand::Address(args) => {
            let environment = args.environment()?;
            let (hex, _) = environment.get("SECP256K1_PRIVHEX").context("SECP256K1_PRIVHEX is not set")?;
            out!("{}", Wallet::parse(hex)?.address());
        }
    }
    Ok(ExitCode::SUCCESS)
}
