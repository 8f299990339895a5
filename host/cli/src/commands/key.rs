//! `key generate` and `key address`: the key that identifies the node.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use posemesh_node_core::auth::wallet::Wallet;
use posemesh_node_core::config::PRIVATE_KEY;

use crate::output::{out, tell};
use crate::settings::SettingsArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a new private key, and print its address on standard error.
    Generate(GenerateArgs),
    /// Print the address of the key in SECP256K1_PRIVHEX, or in the file of SECP256K1_PRIVHEX_FILE.
    Address(SettingsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Write the key to this new file, for SECP256K1_PRIVHEX_FILE, which only this user may read. Without it the key is
    /// printed on standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Makes a new key, or prints the address of the one that is set.
///
/// # Errors
/// When no key is set, it is not valid, or the file is there already or can't be written.
pub(crate) fn run(command: KeyCommand) -> Result<ExitCode> {
    match command {
        KeyCommand::Generate(GenerateArgs { out }) => {
            let wallet = Wallet::generate();
            match &out {
                Some(path) => write_new(path, wallet.private_hex().expose())
                    .with_context(|| format!("writing the new key to {}", path.display()))?,
                // The only place that prints a key: the user has asked for exactly that.
                None => out!("{}", wallet.private_hex().expose()),
            }
            tell!("address {}; keep the key secret, it is the node's identity", wallet.address());
        }
        KeyCommand::Address(args) => {
            let found = args.environment()?.secret(PRIVATE_KEY)?;
            let hex = found.context("neither SECP256K1_PRIVHEX nor SECP256K1_PRIVHEX_FILE is set")?;
            out!("{}", Wallet::parse(hex.text.expose())?.address());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a file that was not there: a key that is in use must not be lost by a second call.
fn write_new(path: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .context("it takes the path of a file that is not there yet")?;
    let written =
        file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
    // Half a key is of no use, and would be in the way of the next call.
    written.inspect_err(|_| drop(std::fs::remove_file(path)))?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_in_a_file_is_this_users_alone_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let generate = || run(KeyCommand::Generate(GenerateArgs { out: Some(path.clone()) }));
        generate().unwrap();
        let key = std::fs::read_to_string(&path).unwrap();
        Wallet::parse(&key).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let error = format!("{:#}", generate().unwrap_err());
        assert!(error.contains("not there yet") && error.contains("exists"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), key);
    }
}
