//! The command line, put together from the arguments of each command.
//!
//! Everything about the network comes from the environment (`config check` shows it); arguments are for what
//! a person decides for one call.

use clap::{Parser, Subcommand};

use crate::commands::completions::CompletionsArgs;
use crate::commands::config::ConfigCommand;
#[cfg(feature = "devnet")]
use crate::commands::demo::DemoArgs;
#[cfg(feature = "devnet")]
use crate::commands::devnet::DevnetArgs;
use crate::commands::diag::DiagArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::drain::{DrainArgs, PauseArgs, ResumeArgs};
use crate::commands::job::JobCommand;
use crate::commands::key::KeyCommand;
use crate::commands::log_level::LogLevelArgs;
use crate::commands::manual::ManualArgs;
use crate::commands::plugin::PluginCommand;
use crate::commands::reload::ReloadArgs;
use crate::commands::run::RunArgs;
use crate::commands::status::StatusArgs;
use crate::commands::tasks::TasksArgs;
use crate::commands::top::TopArgs;

#[cfg(feature = "devnet")]
const AFTER_HELP: &str = "Exit codes: 0 success, 1 failure (also if the output finds no room), 2 wrong arguments or configuration.\n\n\
                          Try it without an account: posemesh-node demo --plugins-dir target/plugins";
#[cfg(not(feature = "devnet"))]
const AFTER_HELP: &str = "Exit codes: 0 success, 1 failure (also if the output finds no room), 2 wrong arguments or configuration.";

/// A posemesh compute node whose capability runners are sandboxed WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "posemesh-node", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the node: register, log in, lease tasks and execute them until SIGINT or SIGTERM.
    ///
    /// Settings are environment variables, or keys of `posemesh-node.toml`; `posemesh-node config check` lists them with
    /// their values.
    /// Required are PLUGINS_DIR, and REG_SECRET with SECP256K1_PRIVHEX or the credentials of a robot.
    Run(RunArgs),
    /// Run the whole path of a task on this machine: a local network, a node, a job and its results.
    #[cfg(feature = "devnet")]
    Demo(DemoArgs),
    /// Run a local network (DDS, DMS and a domain server on loopback) to develop against.
    #[cfg(feature = "devnet")]
    Devnet(DevnetArgs),
    /// Show how the running node is: what is missing, servers, capacity, runners, tasks.
    ///
    /// The same is on the node's page, http://STATUS_ADDR/. Exit code 1 if the node is not ready.
    Status(StatusArgs),
    /// Follow the running node on the whole terminal: state, servers, capacity, tasks, runners, the last hour.
    ///
    /// The same data as on the node's page, asked for every second. The keys are shown by `?`; `q` ends it. Without colours if
    /// NO_COLOR is set.
    Top(TopArgs),
    /// List the tasks that the node has worked on, over its restarts; the node need not run.
    Tasks(TasksArgs),
    /// Pack what somebody else needs to help into one file: settings, state, metrics, the end of the log.
    ///
    /// Secrets are masked.
    Diag(DiagArgs),
    /// Make the running node log more or less, without a restart.
    LogLevel(LogLevelArgs),
    /// Make the running node read its settings again, and look for runners.
    ///
    /// RUST_LOG, MAX_CONCURRENCY and MEMORY_BUDGET take effect at once; what else has changed is named and takes effect with
    /// the next start. If anything is wrong, nothing changes. SIGHUP does the same.
    Reload(ReloadArgs),
    /// Make the running node take no new leases; its tasks may take as long as they need.
    Drain(DrainArgs),
    /// Make the running node take no new leases for a while, with a note for who looks.
    Pause(PauseArgs),
    /// Undo `drain` and `pause`.
    Resume(ResumeArgs),
    /// List, inspect, run and test runners.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Submit jobs to a network, look at them and cancel them, as an application does (needs TOKEN).
    #[command(subcommand)]
    Job(JobCommand),
    /// Look at everything that the node needs, and say what helps where something is missing.
    ///
    /// Settings, secrets, folders, machine, sandbox, servers (name, way, TLS, login, clock) and each runner. Registers
    /// nothing and takes no lease, so it can be called beside a running node. Exit code 1 if there is an error, 2 if
    /// the configuration can't be read.
    Doctor(DoctorArgs),
    /// Check the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Generate a key for the node, or show the address of the one it has.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
    /// Write the manual pages of all commands.
    Manual(ManualArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_that_need_the_devnet_exist_only_with_it() {
        let names: Vec<String> =
            Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
        for name in ["demo", "devnet"] {
            assert_eq!(names.iter().any(|one| one == name), cfg!(feature = "devnet"), "{name} in {names:?}");
        }
    }
}
