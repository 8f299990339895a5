//! `plugin rescan`: makes the running node scan its folder of runners now.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::node_api::{NodeApi, NodeApiArgs};
use crate::runner_list;

#[derive(Debug, Args)]
pub(crate) struct RescanArgs {
    #[command(flatten)]
    node: NodeApiArgs,
}

/// Has the folder scanned and prints the runners; exit code 1 if one was refused.
///
/// # Errors
/// When no node answers, or it rejects the call.
pub(crate) async fn run(args: &RescanArgs) -> Result<ExitCode> {
    let (runners, left) = NodeApi::new(&args.node)?.rescan().await?;
    let code = runner_list::print_of_node(&runners);
    runner_list::print_still_loading(&left);
    Ok(code)
}
