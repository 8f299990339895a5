//! `completions`: a script with which a shell completes this command line.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::output;

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell that will read the script.
    shell: Shell,
}

/// Prints the script for `command`, the whole command line.
pub(crate) fn run(args: &CompletionsArgs, command: &mut Command) -> ExitCode {
    let name = command.get_name().to_owned();
    // The generator panics when writing fails.
    let mut script = Vec::new();
    generate(args.shell, command, name, &mut script);
    output::raw(&script);
    ExitCode::SUCCESS
}
