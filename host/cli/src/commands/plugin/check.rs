//! `plugin check`: everything about a component that keeps it from working, or from working well, before a node has it.

mod finding;
mod look;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use posemesh_node_core::config::{Config, Environment};
use posemesh_plugin_host::load::{LoadStage, Loader};
use posemesh_plugin_host::manifest::Policy;
use posemesh_plugin_host::registry::Generation;
use tokio::sync::watch;

use self::finding::{Findings, Level};
use crate::output;
use crate::runner_loading::{load_in_stages, loader};
use crate::settings::SettingsArgs;

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The component.
    #[arg(value_name = "FILE")]
    component: PathBuf,
    /// Warnings are errors; notes are not.
    #[arg(long)]
    strict: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Prints what is found; exit code 1 if there is an error.
///
/// # Errors
/// When a setting is wrong, or the sandbox can't be set up on this machine.
pub(crate) async fn run(args: &CheckArgs) -> Result<ExitCode> {
    let environment = args.settings.environment()?;
    let loader = loader(&environment).await?;
    let mut findings = Findings::default();
    examine(&loader, &args.component, &environment, &mut findings).await?;
    if args.json {
        output::json(&findings)?;
    } else {
        findings.print();
    }
    let least = if args.strict { Level::Warning } else { Level::Error };
    Ok(if findings.has(least) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(
    loader: &Loader,
    component: &Path,
    environment: &Environment,
    findings: &mut Findings,
) -> Result<()> {
    let path = component.to_owned();
    let largest = Config::loading(environment)?.component_bytes;
    let file = tokio::task::spawn_blocking(move || look::file(&path, largest)).await?;
    let names = look::contract(&file, findings);
    let policy = match Policy::read(&component.with_extension("toml")) {
        Ok(policy) => policy,
        Err(error) => {
            findings.error("policy", error, "correct it: with a mistake in it the runner is not loaded");
            Policy::default()
        }
    };
    let began = Instant::now();
    let Some(first) = load(loader, component, &policy, findings).await else { return Ok(()) };
    look::compiled(&first, began.elapsed(), Config::loading(environment)?.compiler.timeout, findings);
    // From the cache, if there is one: only `describe` is called again.
    if let Some(second) = load(loader, component, &policy, findings).await
        && first.description != second.description
    {
        findings.error(
            "describe",
            "it describes itself differently each time it is asked",
            "`describe` must not depend on time, random numbers or what it was asked before: the node refuses a change",
        );
    }
    look::description(&first, findings);
    look::grants(&first, &names, findings);
    look::policy(&policy, &first, findings);
    Ok(())
}

/// Loads it as a node would; none if it is refused.
async fn load(
    loader: &Loader,
    component: &Path,
    policy: &Policy,
    findings: &mut Findings,
) -> Option<Generation> {
    let stages = watch::Sender::new(LoadStage::Found);
    match load_in_stages(loader, component, policy, &stages).await {
        Ok(runner) => Some(runner),
        Err(error) => {
            let passed = *stages.borrow();
            findings.error("load", format_args!("a node refuses it after `{passed}`: {error}"), "");
            None
        }
    }
}
