//! `plugin rollback`: makes the running node return to a runner's previous generation.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use posemesh_text::escaped;

use crate::commands::plugin::name::runner_name;
use crate::node_api::{NodeApi, NodeApiArgs};
use crate::output::out;

#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// Name of the runner: its file without `.wasm`.
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    node: NodeApiArgs,
}

/// Has the runner rolled back and prints the generation that is live now.
///
/// # Errors
/// When no node answers, or it rejects the call.
pub(crate) async fn run(args: &RollbackArgs) -> Result<ExitCode> {
    let live = NodeApi::new(&args.node)?.roll_back(&runner_name(&args.name)).await?;
    out!(
        "{} is live again, and stays so over restarts. PLUGINS_DIR still contains the newer file: replace it, or roll back once \
         more to have it after all",
        escaped(&live)
    );
    Ok(ExitCode::SUCCESS)
}
