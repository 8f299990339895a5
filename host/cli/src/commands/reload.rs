//! `reload`: makes the running node read its settings again.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use posemesh_text::one_line;
use serde::Deserialize;

use crate::node_api::{NodeApi, NodeApiArgs, still_loading};
use crate::output::out;
use crate::runner_list;

/// How much of a value is shown, in bytes.
const SHOWN_BYTES: usize = 400;

#[derive(Debug, Args)]
pub(crate) struct ReloadArgs {
    #[command(flatten)]
    node: NodeApiArgs,
}

#[derive(Deserialize)]
struct Reloaded {
    changed: Vec<Change>,
    needs_restart: Vec<String>,
}

#[derive(Deserialize)]
struct Change {
    name: String,
    before: String,
    after: String,
}

/// Has the settings read again and prints what that changed.
///
/// # Errors
/// When no node answers, it rejects the call, or the settings are wrong.
pub(crate) async fn run(args: &ReloadArgs) -> Result<ExitCode> {
    let answer = NodeApi::new(&args.node)?.reload().await?;
    let left = still_loading(&answer);
    let Reloaded { changed, needs_restart } =
        serde_json::from_value(answer).context("reading the node's answer")?;
    let shown = |text: &str| one_line(text, SHOWN_BYTES);
    for Change { name, before, after } in &changed {
        out!("{}: {} now; before: {}", shown(name), shown(after), shown(before));
    }
    for name in &needs_restart {
        out!("{}: has changed, and takes effect with the next start of the node", shown(name));
    }
    if changed.is_empty() && needs_restart.is_empty() {
        out!("no setting has changed; runners were looked for");
    }
    runner_list::print_still_loading(&left);
    Ok(ExitCode::SUCCESS)
}
