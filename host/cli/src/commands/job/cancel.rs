//! `job cancel`: ends a job.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use uuid::Uuid;

use crate::commands::job::server::{Network, NetworkArgs, persist};
use crate::output::out;

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: Uuid,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Cancels it.
///
/// # Errors
/// When there is no such job, it has ended, or the job server can't be asked.
pub(crate) async fn run(args: &CancelArgs) -> Result<ExitCode> {
    let network = Network::new(&args.network)?;
    persist(|| network.cancel(args.job)).await?;
    out!("{} is cancelled; a node that works on it hears so with its next heartbeat", args.job);
    Ok(ExitCode::SUCCESS)
}
