//! `plugin rollback`: makes the running node return to a runner's previous generation.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::node_api::{NodeApi, NodeApiArgs};

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
    println!(
        "{live} is live again. PLUGINS_DIR still contains the newer file: replace it before the node is restarted"
    );
    Ok(ExitCode::SUCCESS)
}

/// The runner's name in what was typed: a shell completes it to the path of the file.
fn runner_name(typed: &str) -> String {
    let name = Path::new(typed).file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.strip_suffix(".wasm").map(str::to_owned).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::runner_name;

    #[test]
    fn a_completed_path_names_the_runner_too() {
        for typed in ["pointcloud", "pointcloud.wasm", "target/plugins/pointcloud.wasm"] {
            assert_eq!(runner_name(typed), "pointcloud");
        }
    }
}
