//! `plugin close-breaker`: makes the running node give a runner tasks again that it has left out.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::commands::plugin::name::runner_name;
use crate::node_api::{NodeApi, NodeApiArgs};
use crate::output::out;

#[derive(Debug, Args)]
pub(crate) struct CloseBreakerArgs {
    /// Name of the runner: its file without `.wasm`.
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    node: NodeApiArgs,
}

/// Has the runner's circuit breaker closed.
///
/// # Errors
/// When no node answers, or it rejects the call.
pub(crate) async fn run(args: &CloseBreakerArgs) -> Result<ExitCode> {
    let name = runner_name(&args.name);
    if NodeApi::new(&args.node)?.close_breaker(&name).await? {
        out!("the circuit breaker of {name} is closed: the runner gets tasks again");
    } else {
        out!("the circuit breaker of {name} was closed already");
    }
    Ok(ExitCode::SUCCESS)
}
