//! The binary: arguments in, exit code out.

mod args;
mod config;
mod demo;
mod devnet;
mod key;
mod node_api;
mod plugin;
mod progress;
mod run;
mod runner_list;

use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};
use posemesh_plugin_host::compiler::compile_stdin;

use crate::args::{Cli, Command, ConfigCommand};

/// How long a thread that can't be ended may hold up the end of the process.
const LAST_GRACE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match start(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Config(ConfigCommand::Check(args)) => Ok(config::check(&args)),
        Command::Key(command) => key::key(command),
        Command::CompileComponent(limits) => Ok(compile_stdin(&limits)),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "posemesh-node", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Run(args) => wait(run::run(args)),
        Command::Demo(args) => wait(demo::demo(args)),
        Command::Devnet(args) => wait(devnet::devnet(args)),
        Command::Plugin(command) => wait(plugin::plugin(command)),
    }
}

fn wait(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(LAST_GRACE);
    result
}
