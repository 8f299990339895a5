//! `config check`: what the node would run with, secrets masked.

use std::process::ExitCode;

use super::args::RunArgs;
use posemesh_node_core::config::{Config, environment};

/// Reads and checks the configuration.
///
/// # Errors
/// When the `.env` file can't be read, or with every problem at once.
pub fn load(args: &RunArgs) -> anyhow::Result<Config> {
    let environment = environment(args.env_file.as_deref())?;
    Ok(Config::load(&environment)?)
}

/// Prints the effective configuration. Problems go to standard error and give exit code 2.
pub fn check(args: &RunArgs) -> ExitCode {
    match load(args) {
        Ok(config) => {
            for setting in config.effective() {
                println!("{}={}  # {}", setting.name, setting.value, setting.source);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}
