//! `manual`: the manual pages of all commands.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Command};

use crate::output::out;

#[derive(Debug, Args)]
pub(crate) struct ManualArgs {
    /// The folder to write the pages to, `posemesh-node.1` and one for each command. It is made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Writes the pages of `command`, the whole command line.
///
/// # Errors
/// When the folder can't be made or a page can't be written.
pub(crate) fn run(args: &ManualArgs, command: Command) -> Result<ExitCode> {
    let dir = &args.out;
    std::fs::create_dir_all(dir).with_context(|| format!("making the folder {}", dir.display()))?;
    clap_mangen::generate_to(command, dir)
        .with_context(|| format!("writing manual pages to {}", dir.display()))?;
    out!("manual pages are in {}", dir.display());
    Ok(ExitCode::SUCCESS)
}
