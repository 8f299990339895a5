//! A compute node made of the published posemesh crates and one native runner.
//!
//! The end-to-end suites let it work against the same servers as our own node and compare what both
//! say on the wire. It uses nothing but the public interface of those crates, and it is configured by
//! their own environment variables (`DMS_BASE_URL`, `DDS_BASE_URL`, `REG_SECRET`, `SECP256K1_PRIVHEX`
//! and so on), plus `REFERENCE_CAPABILITY`: the capability to serve, and `REFERENCE_RUNNER`: `copy`, which
//! uses all of the runner interface, `file`, which holds as little as the crates allow, `read`, which
//! fetches its inputs, or `nothing`, which does nothing.

mod copy_runner;
mod file_runner;

use std::env;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use copy_runner::CopyRunner;
use file_runner::{FileRunner, NoRunner, ReadRunner};
use posemesh_compute_node::config::NodeConfig;
use posemesh_compute_node::dds::register::spawn_registration_if_configured;
use posemesh_compute_node::engine::{RunnerRegistry, run_node_with_shutdown};
use posemesh_compute_node::telemetry;
use tokio_util::sync::CancellationToken;

const DEFAULT_CAPABILITY: &str = "/posemesh/reference/v1";

/// How long a task in flight may go on after SIGINT.
const GRACE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<()> {
    telemetry::init_from_env()?;
    let config = NodeConfig::from_env().context("read the reference node's environment")?;
    let runners = runners()?;

    spawn_registration_if_configured(&config, &runners.capabilities())?;

    // The crates' `run_node` holds an early error back until SIGINT and ignores SIGINT until it has
    // logged in. Their other entry point leaves both to the caller.
    let shutdown = CancellationToken::new();
    let node = run_node_with_shutdown(config, runners, shutdown.clone());
    tokio::pin!(node);
    tokio::select! {
        result = &mut node => return result,
        result = tokio::signal::ctrl_c() => result.context("wait for SIGINT")?,
    }
    shutdown.cancel();
    match tokio::time::timeout(GRACE, node).await {
        Ok(result) => result,
        Err(_) => {
            tracing::warn!(grace_secs = GRACE.as_secs(), "still busy after the grace time, leaving");
            Ok(())
        }
    }
}

/// The one runner, as `REFERENCE_RUNNER` names it.
fn runners() -> Result<RunnerRegistry> {
    let none = RunnerRegistry::new();
    match env::var("REFERENCE_RUNNER").unwrap_or_default().trim() {
        "" | "copy" => Ok(none.register(CopyRunner::new(capability()))),
        "file" => Ok(none.register(FileRunner::new(capability()))),
        "read" => Ok(none.register(ReadRunner::new(capability()))),
        "nothing" => Ok(none.register(NoRunner::new(capability()))),
        other => bail!("REFERENCE_RUNNER is {other:?}; it can be `copy`, `file`, `read` or `nothing`"),
    }
}

/// The runner interface wants a `&'static str`, so the value from the environment is leaked, once.
fn capability() -> &'static str {
    match env::var("REFERENCE_CAPABILITY") {
        Ok(value) if !value.trim().is_empty() => Box::leak(value.trim().to_owned().into_boxed_str()),
        _ => DEFAULT_CAPABILITY,
    }
}
