//! `tasks`: the tasks that a node has worked on, over its restarts.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use posemesh_node_core::archive::TaskRow;
use posemesh_text::one_line;
use serde_json::json;
use tokio::task::spawn_blocking;

use crate::history::{HistoryArgs, short, short_node};
use crate::output::{self, out};

/// How much of a text is shown, in bytes: servers and runners have their say in it.
const SHOWN_BYTES: usize = 300;

#[derive(Debug, Args)]
pub(crate) struct TasksArgs {
    /// Only tasks that have ended and did not complete: failed, cancelled, lost, and unknown since the node was killed.
    #[arg(long)]
    failed: bool,
    /// Only tasks of this runner.
    #[arg(long, value_name = "NAME")]
    runner: Option<String>,
    #[command(flatten)]
    history: HistoryArgs,
}

/// Prints them, the newest last.
///
/// # Errors
/// When settings or history can't be read, or the node keeps none.
pub(crate) async fn run(args: TasksArgs) -> Result<ExitCode> {
    let json = args.history.json;
    let read = spawn_blocking(move || {
        let (archived, asked) = args.history.open(args.failed, args.runner.as_deref())?;
        anyhow::Ok(archived.tasks(&asked)?)
    });
    let mut tasks = read.await??;
    tasks.reverse();
    match json {
        true => output::json(&json!({"tasks": tasks}))?,
        false if tasks.is_empty() => out!("no such tasks"),
        false => tasks.iter().for_each(print),
    }
    Ok(ExitCode::SUCCESS)
}

fn print(task: &TaskRow) {
    let shown = |text: &str| one_line(text, SHOWN_BYTES);
    let runner = match (&task.runner, &task.sha256) {
        (Some(runner), Some(sha256)) => format!("{} sha256 {}", shown(runner), short(sha256)),
        (Some(runner), None) => shown(runner),
        (None, _) => "no runner".to_owned(),
    };
    let at = task.ended_at.as_deref().unwrap_or(&task.leased_at);
    let (node, outcome) = (short_node(&task.node), shown(&task.outcome));
    out!("{at}  {node}  {outcome}  {}  {runner}{}", shown(&task.task), used(task));
    if let Some(reason) = &task.reason {
        let fault = match (&task.kind, &task.blame) {
            (Some(kind), Some(blame)) => format!("{kind}, by the {blame}: "),
            (None, Some(blame)) => format!("by the {blame}: "),
            _ => String::new(),
        };
        out!("    {}{}", shown(&fault), shown(reason));
    }
}

/// What it took, as far as that is known.
fn used(task: &TaskRow) -> String {
    let secs = |millis: i64| format!("{:.1} s", millis as f64 / 1000.0);
    let bytes = |bytes: i64| match bytes {
        ..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    };
    let took = task.took_ms.map(secs);
    let cpu = task.cpu_ms.map(|cpu| format!("processor {}", secs(cpu)));
    let memory = task.memory_bytes.map(|memory| format!("memory {}", bytes(memory)));
    let read = task.bytes_in.filter(|read| *read > 0).map(|read| format!("in {}", bytes(read)));
    let written =
        task.bytes_out.filter(|written| *written > 0).map(|written| format!("out {}", bytes(written)));
    let parts: Vec<String> = [took, cpu, memory, read, written].into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!("  {}", parts.join(", ")) }
}
