//! The lines of the lists.

use ratatui::layout::Constraint;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row};

use super::super::app::App;
use super::super::theme::Theme;
use crate::amounts::{bytes, short_span};
use crate::overview::{Overview, Runner, Task};

/// From these columns on a list has room for more than what is most important.
const WIDE: u16 = 100;
/// Columns of a bar.
const BAR: usize = 12;
/// Of the id of a task as much as tells tasks apart.
const ID: usize = 8;

/// A table.
pub(super) struct Columns {
    pub(super) heads: Vec<&'static str>,
    pub(super) widths: Vec<Constraint>,
    pub(super) rows: Vec<Row<'static>>,
}

/// A bar of so many columns, in eighths of a column: what is full, and what is empty.
pub(super) fn bar(part: f64, columns: usize) -> [String; 2] {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (part.clamp(0.0, 1.0) * (columns * 8) as f64).round() as usize;
    let rest = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
    let full = "█".repeat(eighths / 8) + rest;
    let empty = "·".repeat(columns.saturating_sub(full.chars().count()));
    [full, empty]
}

/// The tasks that are worked on.
pub(super) fn now(app: &App, width: u16, theme: Theme) -> Columns {
    let is_wide = width >= WIDE;
    let mut heads = vec!["Task", "Runner", "Progress", "Age", "Lease", "Memory"];
    let mut widths = vec![
        Constraint::Length(8),
        Constraint::Fill(2),
        Constraint::Length(17),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(9),
    ];
    if is_wide {
        heads.extend(["Processor", "Stage"]);
        widths.extend([Constraint::Length(9), Constraint::Fill(2)]);
    }
    let rows = app.tasks_now().into_iter().map(|task| {
        let memory = task.limit("memory_bytes").map_or_else(String::new, |(used, _)| bytes(used));
        let mut cells = vec![
            Cell::from(short_id(task)),
            Cell::from(task.runner_or_capability().to_owned()),
            Cell::from(progress(task, theme)),
            Cell::from(short_span(task.took_ms)),
            Cell::from(task.lease_ends_in_ms.map_or_else(String::new, short_span)),
            Cell::from(memory),
        ];
        if is_wide {
            let processor = task.limit("cpu_time_ms").map_or_else(String::new, |(used, _)| short_span(used));
            cells.extend([Cell::from(processor), Cell::from(task.stage().unwrap_or_default())]);
        }
        Row::new(cells)
    });
    Columns { rows: rows.collect(), heads, widths }
}

/// The tasks that have ended.
pub(super) fn last(app: &App, width: u16, theme: Theme) -> Columns {
    let is_wide = width >= WIDE;
    let mut heads = vec!["Task", "Outcome", "Runner", "Took"];
    let mut widths =
        vec![Constraint::Length(8), Constraint::Length(9), Constraint::Fill(3), Constraint::Length(7)];
    if is_wide {
        heads.push("In, out");
        widths.push(Constraint::Length(21));
    }
    heads.push("Why");
    widths.push(Constraint::Fill(4));
    let rows = app.last_tasks().into_iter().map(|task| {
        let mut cells = vec![
            Cell::from(short_id(task)),
            Cell::from(Span::styled(task.state.to_string(), theme.outcome(&task.state))),
            Cell::from(task.runner_or_capability().to_owned()),
            Cell::from(short_span(task.took_ms)),
        ];
        if is_wide {
            let traffic = &task.traffic;
            cells.push(Cell::from(format!("{}, {}", bytes(traffic.bytes_in), bytes(traffic.bytes_out))));
        }
        cells.push(Cell::from(task.reason.as_deref().unwrap_or_default().to_owned()));
        Row::new(cells)
    });
    Columns { rows: rows.collect(), heads, widths }
}

/// The runners, a name each.
pub(super) fn runners(node: &Overview, width: u16, theme: Theme) -> Columns {
    let is_wide = width >= WIDE;
    let mut heads = vec!["Runner", "Version", "Run", "Done", "Failed"];
    let mut widths = vec![
        Constraint::Fill(2),
        Constraint::Length(12),
        Constraint::Length(4),
        Constraint::Length(7),
        Constraint::Length(6),
    ];
    if is_wide {
        heads.push("Serves");
        widths.push(Constraint::Fill(3));
    }
    heads.push("State");
    widths.push(Constraint::Fill(3));
    let rows = node.plugins.iter().map(|runner| {
        let live = runner.generations.first();
        let sum = |of: fn(&crate::overview::Runs) -> u64| {
            runner.generations.iter().map(|one| of(&one.tasks)).sum::<u64>().to_string()
        };
        let version = live.map_or_else(String::new, |live| format!("{} #{}", live.version, live.number));
        let mut cells = vec![
            Cell::from(runner.name.to_string()),
            Cell::from(version),
            Cell::from(sum(|runs| runs.running)),
            Cell::from(sum(|runs| runs.completed)),
            Cell::from(sum(|runs| runs.failed)),
        ];
        if is_wide {
            cells.push(Cell::from(runner.serves_line()));
        }
        let (text, style) = standing(runner, theme);
        cells.push(Cell::from(Span::styled(text, style)));
        Row::new(cells)
    });
    Columns { rows: rows.collect(), heads, widths }
}

/// What is most worth knowing of a runner.
pub(super) fn standing(runner: &Runner, theme: Theme) -> (String, Style) {
    if let Some(breaker) = runner.breaker.as_ref().filter(|breaker| &*breaker.state != "closed") {
        let why = breaker.why.as_deref().unwrap_or_default();
        return (format!("breaker {}: {why}", breaker.state.replace('_', " ")), theme.bad());
    }
    if let Some(refused) = &runner.refused {
        return (format!("#{} refused: {}", refused.number, refused.reason), theme.bad());
    }
    if let Some(loading) = &runner.loading {
        let text = match loading.compiling_ms {
            Some(since) => format!("#{} is compiled, for {} so far", loading.number, short_span(since)),
            None => format!("#{} is loaded, has passed {}", loading.number, loading.stage),
        };
        return (text, theme.warn());
    }
    match (runner.canary_share, runner.generations.first()) {
        (Some(share), Some(canary)) if &*canary.stage == "canary" => {
            (format!("#{} on trial, {:.0} % of tasks", canary.number, share * 100.0), theme.warn())
        }
        (_, Some(_)) if runner.serves.is_empty() => ("loaded, serves nothing".to_owned(), theme.warn()),
        (_, Some(live)) => (live.stage.to_string(), theme.good()),
        (_, None) => ("not loaded".to_owned(), theme.bad()),
    }
}

fn short_id(task: &Task) -> String {
    task.id.chars().take(ID).collect()
}

fn progress(task: &Task, theme: Theme) -> Line<'static> {
    let Some(part) = task.part_done() else {
        return Line::styled(task.state.to_string(), theme.dim());
    };
    let [full, empty] = bar(part, BAR);
    Line::from(vec![
        Span::styled(full, theme.bar()),
        Span::styled(empty, theme.dim()),
        Span::raw(format!(" {:>3.0}%", part * 100.0)),
    ])
}
