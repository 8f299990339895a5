//! `run`: the node.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use posemesh_node_core::node::Node;
use posemesh_node_core::shutdown::Shutdown;
use posemesh_node_core::telemetry;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::env_file::EnvFileArgs;

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    env_file: EnvFileArgs,
}

/// Runs the node until a signal or an operator ends it.
///
/// # Errors
/// When the node can't be started, or its identity is rejected for good.
pub(crate) async fn run(args: RunArgs) -> Result<ExitCode> {
    let config = match args.env_file.config() {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error:#}");
            return Ok(ExitCode::from(2));
        }
    };
    telemetry::init(config.log.format, &config.log.filter)?;
    raise_open_file_limit();
    let shutdown = Shutdown::new();
    let _listening = shutdown.listen().context("installing signal handlers")?;
    // A signal must not wait for the start: a folder of runners may take minutes to compile.
    let node = tokio::select! {
        node = Node::start(config) => node?,
        () = shutdown.draining().cancelled() => {
            tracing::info!("stopped by a signal before all runners were loaded");
            return Ok(ExitCode::SUCCESS);
        }
    };
    tokio::select! {
        biased;
        () = shutdown.killed().cancelled() => Ok(ExitCode::FAILURE),
        result = node.run(&shutdown) => result.map(|_| ExitCode::SUCCESS).map_err(Into::into),
    }
}

/// Raises the limit on open files to the maximum that the system allows: each task has connections and files
/// of its own, for which the common default of 1024 is too low.
fn raise_open_file_limit() {
    let allowed = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: allowed.maximum, maximum: allowed.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, current = allowed.current, "the limit on open files could not be raised");
    }
}
