//! `plugin show`: a runner's description, and what it would be granted.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use posemesh_text::one_line;

use crate::output;
use crate::runner_loading::load;
use crate::settings::SettingsArgs;

/// How much of a path is shown.
const SHOWN_BYTES: usize = 4096;

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The component.
    #[arg(value_name = "FILE")]
    component: PathBuf,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Prints it as JSON.
///
/// # Errors
/// When the component or its policy is refused.
pub(crate) async fn run(args: &ShowArgs) -> Result<ExitCode> {
    let runner = load(&args.component, &args.settings.environment()?).await?;
    let grant = &runner.terms().grant;
    let shown = serde_json::json!({
        "file": one_line(runner.path.display(), SHOWN_BYTES),
        "sha256": runner.digest,
        "bytes": runner.bytes,
        "description": runner.description,
        "granted": {
            "capabilities": grant.capabilities,
            "limits": grant.limits,
            "environment": grant.environment,
            "network_hosts": grant.network_hosts,
            "private_network_hosts": grant.private_network_hosts,
            "directories": grant.directories,
        },
        "not_granted": grant.not_granted,
    });
    output::json(&shown)?;
    Ok(ExitCode::SUCCESS)
}
