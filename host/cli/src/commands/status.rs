//! `status`: how the running node is, in the terminal, from the data that its page shows.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use posemesh_plugin_host::registry::RunnerView;
use posemesh_text::one_line;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::sleep;

use crate::node_api::{NodeApi, NodeApiArgs};
use crate::output::{self, out};

/// How often a watched node is asked.
const INTERVAL: Duration = Duration::from_secs(2);
/// How much of a text is shown, in bytes: servers and runners have their say in it.
const SHOWN_BYTES: usize = 300;
/// How many tasks that have ended are shown.
const ENDED_SHOWN: usize = 8;

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Ask again every two seconds, until Ctrl-C.
    #[arg(long, short)]
    watch: bool,
    /// Print the node's answer as JSON.
    #[arg(long, conflicts_with = "watch")]
    json: bool,
    #[command(flatten)]
    node: NodeApiArgs,
}

/// What is shown of `/api/status`.
#[derive(Deserialize)]
struct Overview {
    state: String,
    missing: Vec<String>,
    warnings: Vec<String>,
    pid: u32,
    version: String,
    who: String,
    host: String,
    uptime_secs: u64,
    dds: Dds,
    dms: Dms,
    servers: Vec<Server>,
    capacity: Capacity,
    tasks: Vec<Task>,
    totals: Totals,
    plugins: Vec<RunnerView>,
}

#[derive(Deserialize)]
struct Dds {
    through: String,
    registration: String,
    token_valid_secs: Option<u64>,
}

#[derive(Deserialize)]
struct Dms {
    through: String,
    answered_secs_ago: Option<u64>,
    error: Option<String>,
}

/// How a server did in the last five minutes.
#[derive(Deserialize)]
struct Server {
    through: String,
    requests: u64,
    failed: u64,
    failed_secs_ago: Option<u64>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Capacity {
    slots: u64,
    running: u64,
    memory_available: Option<u64>,
    folders: Vec<Folder>,
}

#[derive(Deserialize)]
struct Folder {
    variable: String,
    free_bytes: Option<u64>,
    low: bool,
}

#[derive(Deserialize)]
struct Task {
    id: String,
    capability: String,
    runner: Option<String>,
    state: String,
    reason: Option<String>,
    progress: Value,
    took_ms: u64,
}

#[derive(Deserialize)]
struct Totals {
    leased: u64,
    completed: u64,
    failed: u64,
    cancelled: u64,
    lost: u64,
}

/// Prints how the node is; exit code 1 if it is not ready.
///
/// # Errors
/// When no node answers.
pub(crate) async fn run(args: StatusArgs) -> Result<ExitCode> {
    let api = NodeApi::new(&args.node)?;
    let on_terminal = std::io::stdout().is_terminal();
    let mut seen = false;
    loop {
        let answer = match api.status().await {
            Ok(answer) => answer,
            // A node that starts anew is worth waiting for.
            Err(error) if args.watch && seen => {
                out!("{error:#}");
                output::check()?;
                tokio::select! {
                    () = sleep(INTERVAL) => continue,
                    _ = tokio::signal::ctrl_c() => return Ok(ExitCode::FAILURE),
                }
            }
            Err(error) => return Err(error),
        };
        seen = true;
        if args.json {
            output::json(&answer)?;
        }
        let overview: Overview = serde_json::from_value(answer).context("reading the node's answer")?;
        let code = if overview.state == "ready" { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        if !args.json {
            if args.watch && on_terminal {
                // To the upper left corner of an empty screen.
                output::raw(b"\x1b[H\x1b[2J");
            }
            out!("{}", text(&overview).trim_end());
        }
        if !args.watch {
            return Ok(code);
        }
        output::check()?;
        if output::is_closed() {
            return Ok(code);
        }
        tokio::select! {
            () = sleep(INTERVAL) => {}
            _ = tokio::signal::ctrl_c() => return Ok(code),
        }
    }
}

fn text(node: &Overview) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, node);
    text
}

fn write(text: &mut String, node: &Overview) -> std::fmt::Result {
    let short = |text: &str| one_line(text, SHOWN_BYTES);
    let state = node.state.to_uppercase().replace('_', " ");
    writeln!(text, "{}  {} on {}", short(&state), short(&node.who), short(&node.host))?;
    for missing in &node.missing {
        writeln!(text, "  {}", short(missing))?;
    }
    for warning in &node.warnings {
        writeln!(text, "  warning: {}", short(warning))?;
    }
    let up = span(node.uptime_secs);
    writeln!(text, "\nnode      version {}, process {}, up for {up}", short(&node.version), node.pid)?;
    let token = node
        .dds
        .token_valid_secs
        .map_or_else(|| "none".to_owned(), |left| format!("valid for {}", span(left)));
    writeln!(
        text,
        "DDS       {}: {}, token {token}",
        short(&node.dds.through),
        short(&node.dds.registration)
    )?;
    let answered = node.dms.answered_secs_ago;
    let answered = answered
        .map_or_else(|| "has not answered yet".to_owned(), |ago| format!("answered {} ago", span(ago)));
    let error = node.dms.error.as_deref().map(|error| format!("; {}", short(error))).unwrap_or_default();
    writeln!(text, "DMS       {}: {answered}{error}", short(&node.dms.through))?;
    // Those that are well are not worth a line.
    for server in node.servers.iter().filter(|server| server.failed > 0) {
        let Server { through, requests, failed, failed_secs_ago, error } = server;
        let error = short(error.as_deref().unwrap_or_default());
        let ago = span(failed_secs_ago.unwrap_or_default());
        writeln!(
            text,
            "requests  {}: {failed} of {requests} failed in five minutes, the last {ago} ago: {error}",
            short(through)
        )?;
    }
    let Capacity { slots, running, memory_available, folders } = &node.capacity;
    write!(text, "capacity  {running} of {slots} tasks")?;
    if let Some(memory) = memory_available {
        write!(text, ", {} of memory available", bytes(*memory))?;
    }
    for Folder { variable, free_bytes, low } in folders {
        let free = free_bytes.map_or_else(|| "unknown".to_owned(), bytes);
        write!(text, ", {} {free} free{}", short(variable), if *low { " (low)" } else { "" })?;
    }
    let Totals { leased, completed, failed, cancelled, lost } = node.totals;
    writeln!(
        text,
        "\ntotals    {leased} leased, {completed} completed, {failed} failed, {cancelled} cancelled, {lost} lost"
    )?;
    writeln!(text, "\nrunners")?;
    for runner in &node.plugins {
        let live = runner.generations.first();
        let version =
            live.map_or_else(String::new, |live| format!(" {} #{}", short(&live.version), live.number));
        writeln!(text, "  {}{version}: serves {}", short(&runner.name), short(&runner.serves.join(", ")))?;
        if let Some(refused) = &runner.refused {
            writeln!(text, "    #{} refused: {}", refused.number, short(&refused.reason))?;
        }
    }
    if node.plugins.is_empty() {
        writeln!(text, "  none")?;
    }
    let is_running = |task: &&Task| ["starting", "running", "finishing"].contains(&task.state.as_str());
    writeln!(text, "\ntasks now")?;
    let now: Vec<&Task> = node.tasks.iter().filter(is_running).collect();
    now.iter().try_for_each(|task| write_task(text, task))?;
    if now.is_empty() {
        writeln!(text, "  none")?;
    }
    writeln!(text, "\nlast tasks")?;
    node.tasks
        .iter()
        .filter(|task| !is_running(task))
        .take(ENDED_SHOWN)
        .try_for_each(|task| write_task(text, task))
}

fn write_task(text: &mut String, task: &Task) -> std::fmt::Result {
    let runner = one_line(task.runner.as_deref().unwrap_or(&task.capability), 40);
    let (id, state) = (one_line(&task.id, 36), one_line(&task.state, 12));
    write!(text, "  {id}  {state:<10} {runner:<30} {:>9.1} s", task.took_ms as f64 / 1000.0)?;
    if let Some(part) = task.progress.get("progress").and_then(Value::as_f64).filter(|part| part.is_finite())
    {
        let full = (part.clamp(0.0, 1.0) * 20.0).round() as usize;
        write!(text, "  [{:<20}] {:>3.0}%", "=".repeat(full), part.clamp(0.0, 1.0) * 100.0)?;
    }
    if let Some(reason) = &task.reason {
        write!(text, "  {}", one_line(reason, SHOWN_BYTES))?;
    }
    writeln!(text)
}

/// Seconds as people say them.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

fn bytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
