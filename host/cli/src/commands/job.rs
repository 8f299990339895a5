//! `job`: work for a network, as an application gives it: for the devnet, and for any job server with a token.

mod cancel;
mod domain;
mod fetch;
mod follow;
mod job_view;
mod list;
mod server;
mod show;
mod submit;
mod transfer;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Submit a job of one task, with files as inputs; wait for it and fetch its artifacts if wanted.
    ///
    /// Exit code 1 if the job was waited for and did not complete.
    Submit(submit::SubmitArgs),
    /// List the jobs, the newest first.
    List(list::ListArgs),
    /// Show a job with its tasks.
    Show(show::ShowArgs),
    /// Fetch what a job has stored.
    ///
    /// One artifact that can't be fetched keeps none of the others; the exit code is 1 then.
    Fetch(fetch::FetchArgs),
    /// Cancel a job: its running task is told with its next heartbeat.
    Cancel(cancel::CancelArgs),
}

/// Executes a `job` command.
///
/// # Errors
/// When a server can't be asked or refuses. A job that fails is no error: the exit code says so.
pub(crate) async fn run(command: JobCommand) -> Result<ExitCode> {
    match command {
        JobCommand::Submit(args) => submit::run(args).await,
        JobCommand::List(args) => list::run(&args).await,
        JobCommand::Show(args) => show::run(&args).await,
        JobCommand::Fetch(args) => fetch::run(&args).await,
        JobCommand::Cancel(args) => cancel::run(&args).await,
    }
}
