//! `plugin list`: the runners of the running node, or of a folder.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Args;
use posemesh_node_core::config::Environment;
use posemesh_plugin_host::registry::{Registry, RegistrySettings, Scan};

use crate::node_api::{NodeApi, NodeApiArgs};
use crate::runner_list;
use crate::runner_loading::loader;

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Folder with NAME.wasm and NAME.toml.
    #[arg(value_name = "DIR")]
    plugins_dir: Option<PathBuf>,
    #[command(flatten)]
    node: NodeApiArgs,
}

/// Prints the list; exit code 1 if a runner was refused.
///
/// # Errors
/// When no node answers, or the folder can't be read.
pub(crate) async fn run(args: ListArgs) -> Result<ExitCode> {
    match args.plugins_dir {
        None => Ok(runner_list::print_of_node(&NodeApi::new(&args.node)?.runners().await?)),
        Some(plugins_dir) => list_folder(plugins_dir, &args.node.environment()?).await,
    }
}

async fn list_folder(plugins_dir: PathBuf, environment: &Environment) -> Result<ExitCode> {
    let settings = RegistrySettings::new(&plugins_dir);
    let registry = Registry::new(Arc::new(loader(environment).await?), settings);
    registry
        .scan(Scan::Now)
        .await
        .with_context(|| format!("reading the folder {}", plugins_dir.display()))?;
    let no_runners = format!("no runners in {}: each runner is a file NAME.wasm", plugins_dir.display());
    Ok(runner_list::print(&registry.view(), &no_runners))
}
