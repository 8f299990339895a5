//! The binary `posemesh-node`: arguments in, exit code out. Each command is a file in `commands/`.

// `println!` panics when nobody reads: `output` is how commands print.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod amounts;
mod args;
mod commands;
mod history;
mod input_arg;
mod meta_arg;
mod node_api;
mod output;
mod overview;
mod own_process;
mod progress;
mod runner_list;
mod runner_loading;
mod runtime;
mod settings;
mod systemd;
#[cfg(test)]
mod testing;

use std::io;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, Parser as _};
use posemesh_node_core::shutdown::EarlySignals;

use crate::args::{Cli, Command};
use crate::commands::{
    completions, config, diag, doctor, drain, job, key, log_level, manual, plugin, reload, run, status,
    tasks, top,
};
#[cfg(feature = "devnet")]
use crate::commands::{demo, devnet};
use crate::output::tell;
use crate::runtime::block_on;

fn main() -> ExitCode {
    // First of all, since it may start the program anew, and what was done before would be done again.
    let unprotected = if is_node() { own_process::protect() } else { Vec::new() };
    // Even before the arguments are read: a signal must not end a node. Other commands may be ended.
    let early = is_node().then(EarlySignals::catch);
    // The node compiles runners in processes of its own program.
    if let Some(code) = posemesh_plugin_host::run_child_if_asked() {
        return code;
    }
    let code = match Cli::try_parse() {
        Ok(cli) => run(cli, early, unprotected).unwrap_or_else(|error| {
            match is_node() {
                // Whoever reads the log of a node expects one form in it.
                true => run::tell_error(&format!("{error:#}")),
                false => tell!("error: {error:#}"),
            }
            ExitCode::FAILURE
        }),
        Err(message) => output::arguments(&message),
    };
    output::finish(code)
}

/// Whether this process is to be a node, by its bare arguments.
fn is_node() -> bool {
    std::env::args_os().nth(1).is_some_and(|command| command == "run")
}

fn run(cli: Cli, early: Option<io::Result<EarlySignals>>, unprotected: Vec<String>) -> Result<ExitCode> {
    match cli.command {
        Command::Run(args) => {
            block_on(run::run(args, early.unwrap_or_else(EarlySignals::catch), unprotected))
        }
        #[cfg(feature = "devnet")]
        Command::Demo(args) => block_on(demo::run(args)),
        #[cfg(feature = "devnet")]
        Command::Devnet(args) => block_on(devnet::run(args)),
        Command::Status(args) => block_on(status::run(args)),
        Command::Top(args) => block_on(top::run(args)),
        Command::Tasks(args) => block_on(tasks::run(args)),
        Command::Diag(args) => block_on(diag::run(args)),
        Command::LogLevel(args) => block_on(async move { log_level::run(&args).await }),
        Command::Reload(args) => block_on(async move { reload::run(&args).await }),
        Command::Doctor(args) => block_on(doctor::run(args)),
        Command::Drain(args) => block_on(async move { drain::run(&args).await }),
        Command::Pause(args) => block_on(async move { drain::pause(&args).await }),
        Command::Resume(args) => block_on(async move { drain::resume(&args).await }),
        Command::Job(command) => block_on(job::run(command)),
        Command::Plugin(command) => block_on(plugin::run(command)),
        Command::Config(command) => Ok(config::run(command)),
        Command::Key(command) => key::run(command),
        Command::Completions(args) => Ok(completions::run(&args, &mut Cli::command())),
        Command::Manual(args) => manual::run(&args, Cli::command()),
    }
}
