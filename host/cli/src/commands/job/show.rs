//! `job show`: one job.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use uuid::Uuid;

use crate::commands::job::server::{Network, NetworkArgs, persist};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: Uuid,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Prints it with its tasks, their progress and their artifacts.
///
/// # Errors
/// When there is no such job, or the job server can't be asked.
pub(crate) async fn run(args: &ShowArgs) -> Result<ExitCode> {
    let network = Network::new(&args.network)?;
    let job = persist(|| network.job(args.job)).await?;
    if args.json {
        output::json(&job)?;
    } else {
        job.print();
    }
    Ok(ExitCode::SUCCESS)
}
