//! `plugin wit`: writes the contract with runners, which is in this program.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use posemesh_plugin_host::contract::{FILES, PACKAGE, VERSION};
use posemesh_text::escaped;

use crate::commands::plugin::written::{NewFile, write_all};
use crate::output::out;

#[derive(Debug, Args)]
pub(crate) struct WitArgs {
    /// Folder for the files; it is made if it does not exist.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace files that differ, as those of another version do.
    #[arg(long)]
    force: bool,
}

/// Writes the WIT package and says which version it is.
///
/// # Errors
/// When a file can't be written, or one that differs is there and `--force` is not given.
pub(crate) fn run(args: &WitArgs) -> Result<ExitCode> {
    let files = FILES.map(|(name, text)| NewFile::text(name, text));
    write_all(&args.out, &files, args.force)?;
    out!("{PACKAGE}@{VERSION}, {} files in {}", files.len(), escaped(&args.out.display().to_string()));
    Ok(ExitCode::SUCCESS)
}
