//! `run`: the node.

use std::process::ExitCode;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::args::RunArgs;
use super::config;
use posemesh_node_core::node::Node;
use posemesh_node_core::shutdown::Shutdown;
use posemesh_node_core::telemetry;

/// Runs the node until it is told to end.
///
/// # Errors
/// When it can't be started, or its identity is refused for good.
pub async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let config = match config::load(&args) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error:#}");
            return Ok(ExitCode::from(2));
        }
    };
    telemetry::init(config.log.format, &config.log.filter)?;
    raise_descriptors();
    let shutdown = Shutdown::new();
    let _listening = shutdown.listen().context("installing signal handlers")?;
    let node = tokio::select! {
        node = Node::start(config) => node?,
        () = shutdown.draining().cancelled() => {
            tracing::info!("told to end before all runners were loaded");
            return Ok(ExitCode::SUCCESS);
        }
    };
    tokio::select! {
        biased;
        () = shutdown.killed().cancelled() => Ok(ExitCode::FAILURE),
        result = node.run(&shutdown) => result.map(|_| ExitCode::SUCCESS).map_err(Into::into),
    }
}

/// Lets the node have as many open files as the system allows it: tasks have connections and files of their
/// own, and the usual 1024 are a limit from another time.
fn raise_descriptors() {
    let allowed = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: allowed.maximum, maximum: allowed.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, current = allowed.current, "the limit on open files could not be raised");
    }
}
