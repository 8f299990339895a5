//! `plugin history`: which generations of runners a node had, and why they came and went, over its restarts.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use posemesh_node_core::archive::GenerationRow;
use posemesh_text::one_line;
use serde_json::json;
use tokio::task::spawn_blocking;

use crate::commands::plugin::name::runner_name;
use crate::history::{HistoryArgs, short, short_node};
use crate::output::{self, out};

/// How much of a text is shown, in bytes: runners have their say in it.
const SHOWN_BYTES: usize = 300;

#[derive(Debug, Args)]
pub(crate) struct PluginHistoryArgs {
    /// Name of the runner: its file without `.wasm`. Without it all of them.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    history: HistoryArgs,
}

/// Prints it, the newest last.
///
/// # Errors
/// When settings or history can't be read, or the node keeps none.
pub(super) async fn run(args: PluginHistoryArgs) -> Result<ExitCode> {
    let json = args.history.json;
    let read = spawn_blocking(move || {
        let name = args.name.as_deref().map(runner_name);
        let (archived, asked) = args.history.open(false, name.as_deref())?;
        anyhow::Ok(archived.generations(&asked)?)
    });
    let mut generations = read.await??;
    generations.reverse();
    match json {
        true => output::json(&json!({"generations": generations}))?,
        false if generations.is_empty() => out!("nothing of that kind"),
        false => generations.iter().for_each(print),
    }
    Ok(ExitCode::SUCCESS)
}

fn print(row: &GenerationRow) {
    let shown = |text: &str| one_line(text, SHOWN_BYTES);
    let of = shown(row.runner.as_deref().unwrap_or("the node"));
    let mut line = format!("{}  {}  {of}", row.at, short_node(&row.node));
    if let Some(version) = &row.version {
        line += &format!(" {}", shown(version));
    }
    if let Some(number) = row.number {
        line += &format!(" #{number}");
    }
    line += &format!("  {}", shown(&row.event));
    if let Some(sha256) = &row.sha256 {
        line += &format!("  sha256 {}", short(sha256));
    }
    out!("{line}");
    if let Some(why) = &row.why {
        out!("    {}", shown(why));
    }
}
