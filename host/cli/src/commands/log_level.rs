//! `log-level`: makes the running node log other lines.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use posemesh_text::one_line;

use crate::node_api::{NodeApi, NodeApiArgs};
use crate::output::out;

/// How much of a filter is shown, in bytes.
const SHOWN_BYTES: usize = 400;

#[derive(Debug, Args)]
pub(crate) struct LogLevelArgs {
    /// A level, and levels for parts: `debug`, or `info,posemesh_node_core::lease=debug`.
    #[arg(value_name = "FILTER")]
    filter: String,
    #[command(flatten)]
    node: NodeApiArgs,
}

/// Changes the filter, until the node ends or somebody changes it again.
///
/// # Errors
/// When no node answers, it rejects the call, or the filter is wrong.
pub(crate) async fn run(args: &LogLevelArgs) -> Result<ExitCode> {
    let before = NodeApi::new(&args.node)?.set_log_filter(&args.filter).await?;
    let shown = |text: &str| one_line(text, SHOWN_BYTES);
    out!("the node logs {} now; before: {}", shown(&args.filter), shown(&before));
    Ok(ExitCode::SUCCESS)
}
