//! `job list`: the jobs of an application.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::commands::job::server::{Network, NetworkArgs, persist};
use crate::output::{self, out};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only jobs with this status.
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Only jobs with a task that asks for this capability.
    #[arg(long, value_name = "CAPABILITY")]
    capability: Option<String>,
    /// How many.
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=100))]
    limit: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    network: NetworkArgs,
}

/// What a job server says of a job (protocol 3.7).
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    Pending,
    Running,
    Completed,
    Failed,
    #[value(alias = "cancelled")]
    Canceled,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

/// Prints them, the newest first.
///
/// # Errors
/// When the job server can't be asked.
pub(crate) async fn run(args: &ListArgs) -> Result<ExitCode> {
    let network = Network::new(&args.network)?;
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.status.map(|status| ("status", status.as_str().to_owned())));
    query.extend(args.capability.clone().map(|capability| ("capabilities", capability)));
    let page = persist(|| network.jobs(&query)).await?;
    if args.json {
        output::json(&page)?;
        return Ok(ExitCode::SUCCESS);
    }
    page.items.iter().for_each(|item| out!("{}", item.job.line()));
    match (page.items.is_empty(), &page.next_cursor) {
        (true, _) => out!("no jobs"),
        (false, Some(_)) => out!("there are more; `--limit` shows up to 100"),
        (false, None) => {}
    }
    Ok(ExitCode::SUCCESS)
}
