//! `status`: how the running node is, in the terminal, from the data that its page shows.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use posemesh_text::one_line;
use tokio::time::sleep;

use crate::amounts::{bytes, span};
use crate::node_api::{NodeApi, NodeApiArgs};
use crate::output::{self, out};
use crate::overview::{Capacity, Folder, Overview, Server, Task, Totals};

/// How often a watched node is asked.
const INTERVAL: Duration = Duration::from_secs(2);
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

/// Prints how the node is; exit code 1 if it is not ready.
///
/// # Errors
/// When no node answers.
pub(crate) async fn run(args: StatusArgs) -> Result<ExitCode> {
    let mut api = NodeApi::new(&args.node)?;
    let on_terminal = std::io::stdout().is_terminal();
    let mut seen = false;
    loop {
        let answer = match api.status().await {
            Ok(answer) => answer,
            // A node that starts anew is worth waiting for.
            Err(error) if args.watch && seen => {
                out!("{error:#}");
                output::check()?;
                // Its socket has another path then.
                api = NodeApi::new(&args.node)?;
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
        let code = if &*overview.state == "ready" { ExitCode::SUCCESS } else { ExitCode::FAILURE };
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
    writeln!(text, "{}  {} on {}", node.state_word(), node.who, node.host)?;
    for missing in &node.missing {
        writeln!(text, "  {missing}")?;
    }
    for warning in &node.warnings {
        writeln!(text, "  warning: {warning}")?;
    }
    let up = span(node.uptime_secs);
    writeln!(text, "\nnode      version {}, process {}, up for {up}", node.version, node.pid)?;
    let token = node
        .dds
        .token_valid_secs
        .map_or_else(|| "none".to_owned(), |left| format!("valid for {}", span(left)));
    writeln!(text, "DDS       {}: {}, token {token}", node.dds.through, node.dds.registration)?;
    let answered = node.dms.answered_secs_ago;
    let answered = answered
        .map_or_else(|| "has not answered yet".to_owned(), |ago| format!("answered {} ago", span(ago)));
    let error = node.dms.error.as_deref().map(|error| format!("; {error}")).unwrap_or_default();
    writeln!(text, "DMS       {}: {answered}{error}", node.dms.through)?;
    // Those that are well are not worth a line.
    for server in node.servers.iter().filter(|server| server.failed > 0) {
        let Server { through, requests, failed, .. } = server;
        let error = server.error.as_deref().unwrap_or_default();
        let ago = span(server.failed_secs_ago.unwrap_or_default());
        writeln!(
            text,
            "requests  {through}: {failed} of {requests} failed in five minutes, the last {ago} ago: {error}"
        )?;
    }
    for server in &node.servers {
        if let Some(ahead) = server.clock_off() {
            writeln!(text, "clock     {}: {}", server.through, ahead)?;
        }
    }
    let Capacity { slots, running, memory_available, folders, .. } = &node.capacity;
    write!(text, "capacity  {running} of {slots} tasks")?;
    if let Some(memory) = memory_available {
        write!(text, ", {} of memory available", bytes(*memory))?;
    }
    for Folder { variable, free_bytes, low, .. } in folders {
        let free = free_bytes.map_or_else(|| "unknown".to_owned(), bytes);
        write!(text, ", {variable} {free} free{}", if *low { " (low)" } else { "" })?;
    }
    let Totals { leased, completed, failed, cancelled, lost } = node.totals;
    writeln!(
        text,
        "\ntotals    {leased} leased, {completed} completed, {failed} failed, {cancelled} cancelled, {lost} lost"
    )?;
    writeln!(text, "\nrunners")?;
    for runner in &node.plugins {
        let live = runner.generations.first();
        let version = live.map_or_else(String::new, |live| format!(" {} #{}", live.version, live.number));
        writeln!(text, "  {}{version}: serves {}", runner.name, runner.serves_line())?;
        if let Some(refused) = &runner.refused {
            writeln!(text, "    #{} refused: {}", refused.number, refused.reason)?;
        }
    }
    if node.plugins.is_empty() {
        writeln!(text, "  none")?;
    }
    writeln!(text, "\ntasks now")?;
    let now: Vec<&Task> = node.tasks.iter().filter(|task| task.is_worked_on()).collect();
    now.iter().try_for_each(|task| write_task(text, task))?;
    if now.is_empty() {
        writeln!(text, "  none")?;
    }
    writeln!(text, "\nlast tasks")?;
    node.tasks
        .iter()
        .filter(|task| !task.is_worked_on())
        .take(ENDED_SHOWN)
        .try_for_each(|task| write_task(text, task))
}

fn write_task(text: &mut String, task: &Task) -> std::fmt::Result {
    let runner = one_line(task.runner_or_capability(), 40);
    write!(text, "  {}  {:<10} {runner:<30} {:>9.1} s", task.id, task.state, task.took_ms as f64 / 1000.0)?;
    if let Some(part) = task.part_done() {
        let full = (part * 20.0).round() as usize;
        write!(text, "  [{:<20}] {:>3.0}%", "=".repeat(full), part * 100.0)?;
    }
    if let Some(reason) = &task.reason {
        write!(text, "  {reason}")?;
    }
    writeln!(text)
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::testing::{golden, sample, svg};

    #[test]
    fn a_node_is_told_in_plain_text() {
        for (name, node) in sample::all() {
            let told = text(&node);
            assert!(told.lines().all(posemesh_text::is_plain), "{told:?}");
            golden::assert_same(&format!("tests/golden/status/{name}.txt"), &told);
        }
    }

    #[test]
    fn the_pictures_in_the_documents_are_current() {
        golden::assert_same("docs/screenshots/status.svg", &svg::of_text(&text(&sample::ready()), 120));
    }
}
