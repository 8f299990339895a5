//! `status`: how the running node is, in the terminal, from the data that its page shows.

mod runners;
mod tasks;
mod text;
mod wrap;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use tokio::time::sleep;

use crate::node_api::{NodeApi, NodeApiArgs};
use crate::output::{self, out};
use crate::overview::Overview;
use text::text;

/// How often a watched node is asked.
const INTERVAL: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Ask again every two seconds, until Ctrl-C.
    #[arg(long, short)]
    watch: bool,
    /// Print the node's answer as JSON.
    #[arg(long, conflicts_with = "watch")]
    json: bool,
    #[command(flatten)]
    node: NodeApiArgs,
}

/// Prints how the node is; exit code 1 if it is not ready.
///
/// # Errors
/// When no node answers.
pub(crate) async fn run(args: StatusArgs) -> Result<ExitCode> {
    let mut api = NodeApi::new(&args.node)?;
    let on_terminal = std::io::stdout().is_terminal();
    let mut seen = false;
    loop {
        let answer = match api.status().await {
            Ok(answer) => answer,
            // A node that starts anew is worth waiting for.
            Err(error) if args.watch && seen => {
                out!("{error:#}");
                output::check()?;
                // Its socket has another path then.
                api = NodeApi::new(&args.node)?;
                tokio::select! {
                    () = sleep(INTERVAL) => continue,
                    _ = tokio::signal::ctrl_c() => return Ok(ExitCode::FAILURE),
                }
            }
            Err(error) => return Err(error),
        };
        seen = true;
        if args.json {
            output::json(&answer)?;
        }
        let overview: Overview = serde_json::from_value(answer).context("reading the node's answer")?;
        let code = if &*overview.state == "ready" { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        if !args.json {
            if args.watch && on_terminal {
                // To the upper left corner of an empty screen.
                output::raw(b"\x1b[H\x1b[2J");
            }
            out!("{}", text(&overview).trim_end());
        }
        if !args.watch {
            return Ok(code);
        }
        output::check()?;
        if output::is_closed() {
            return Ok(code);
        }
        tokio::select! {
            () = sleep(INTERVAL) => {}
            _ = tokio::signal::ctrl_c() => return Ok(code),
        }
    }
}
