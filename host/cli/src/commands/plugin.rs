//! `plugin`: the commands about runners. `list`, `rescan`, `rollback` and `close-breaker` ask a running node;
//! `list DIR`, `show`, `run`, `test` and `check` load components here, without a network or an account; `watch` builds them, too,
//! and brings a network of its own; `new` and `wit` only write files.

mod cases;
mod check;
mod close_breaker;
mod history;
mod list;
mod name;
mod new;
mod rescan;
mod rollback;
mod run;
mod show;
mod test;
mod watch;
mod wit;
mod written;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// List the runners of the running node, or of a folder.
    ///
    /// Without a folder, asks the node's status server and shows each generation with its stage. With a
    /// folder, loads every runner in it here.
    List(list::ListArgs),
    /// Make the running node scan its folder now and retry the runners it has refused.
    Rescan(rescan::RescanArgs),
    /// Make the running node return to the previous generation of a runner.
    Rollback(rollback::RollbackArgs),
    /// Make the running node give a runner tasks again that it has left out because it failed again and again: close
    /// its circuit breaker.
    CloseBreaker(close_breaker::CloseBreakerArgs),
    /// List which generations of runners the node had, and why they came and went, over its restarts.
    History(history::PluginHistoryArgs),
    /// Show a runner's description and what it would be granted.
    Show(show::ShowArgs),
    /// Run a runner once, with files as inputs.
    Run(run::PluginRunArgs),
    /// Run a runner's test cases: folders of task.json, inputs/ and expected/.
    Test(test::TestArgs),
    /// Look at everything about a runner that keeps it from working, or from working well.
    ///
    /// World and versions, what it imports and is granted, its description (asked twice), size and compile time, and the
    /// policy beside it. Exit code 1 if there is an error.
    Check(check::CheckArgs),
    /// Keep a runner live while it is written: build its project at each change, run its cases, and put it into a local
    /// network with a node, or into a folder.
    ///
    /// What does not build or fails a case is shown, and the last good version goes on serving.
    Watch(watch::WatchArgs),
    /// Write the project of a new runner, with tests and a test case: it builds at once.
    New(new::NewArgs),
    /// Write the contract with runners, the WIT package posemesh:runner, into a folder.
    Wit(wit::WitArgs),
}

/// Executes a `plugin` command.
///
/// # Errors
/// When it can't be started. A refused runner and a failed case are no errors: the exit code says so.
pub(crate) async fn run(command: PluginCommand) -> Result<ExitCode> {
    match command {
        PluginCommand::List(args) => list::run(args).await,
        PluginCommand::Rescan(args) => rescan::run(&args).await,
        PluginCommand::Rollback(args) => rollback::run(&args).await,
        PluginCommand::CloseBreaker(args) => close_breaker::run(&args).await,
        PluginCommand::History(args) => history::run(args).await,
        PluginCommand::Show(args) => show::run(&args).await,
        PluginCommand::Run(args) => run::run(args).await,
        PluginCommand::Test(args) => test::run(&args).await,
        PluginCommand::Check(args) => check::run(&args).await,
        PluginCommand::Watch(args) => watch::run(args).await,
        PluginCommand::New(args) => new::run(&args),
        PluginCommand::Wit(args) => wit::run(&args),
    }
}
