//! What covers the rest: the keys, or all of a line of a list.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Wrap};

use super::super::app::{App, Pane};
use super::super::theme::Theme;
use super::rows;
use crate::amounts::{bytes, short_span};
use crate::overview::{Limit, Runner, Task};

const KEYS: [(&str, &str); 9] = [
    ("q, Ctrl-C", "quit"),
    ("Tab, ← →", "the next list, the one before"),
    ("↑ ↓, k j", "the next line, the one before"),
    ("PgUp PgDn", "ten lines"),
    ("Home End", "the first line, the last one"),
    ("Enter", "all of the chosen line; once more, or Esc: back"),
    ("p, Space", "freeze what is shown; once more: go on"),
    ("s", "order of tasks: newest, oldest, most memory first"),
    ("?", "this help"),
];

/// The keys.
pub(super) fn help(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let lines = KEYS.iter().map(|(key, what)| {
        Line::from(vec![Span::styled(format!(" {key:<11}"), theme.accent()), Span::raw(*what)])
    });
    let note = [
        "",
        " The data are those of /api/status, asked for every second.",
        " `posemesh-node status` prints them once.",
    ];
    let lines = lines.chain(note.map(|text| Line::styled(text, theme.dim()))).collect();
    show(frame, area, "Keys", lines, theme);
}

/// All of the chosen line.
pub(super) fn details(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let at = app.chosen(app.pane).unwrap_or_default();
    let (title, lines) = match app.pane {
        Pane::Now => ("Task", app.tasks_now().get(at).map(|task| of_task(task, theme))),
        Pane::Last => ("Task", app.last_tasks().get(at).map(|task| of_task(task, theme))),
        Pane::Runners => ("Runner", app.node.plugins.get(at).map(|runner| of_runner(runner, theme))),
    };
    let gone = || vec![Line::from(" It is not among what the node shows any more.")];
    show(frame, area, title, lines.unwrap_or_else(gone), theme);
}

fn show(frame: &mut Frame<'_>, area: Rect, title: &str, lines: Vec<Line<'static>>, theme: Theme) {
    let (most_wide, most_high) = (area.width.saturating_sub(4), area.height.saturating_sub(2));
    let width = lines.iter().map(Line::width).max().unwrap_or_default() + 4;
    let width = u16::try_from(width).unwrap_or(u16::MAX).min(most_wide);
    let inside = usize::from(width.saturating_sub(2)).max(1);
    // Lines break between words: what is longer than the popup can take a line more than its letters.
    let heights = lines.iter().map(|line| match line.width() {
        fits if fits <= inside => 1,
        long => long.div_ceil(inside) + 1,
    });
    let height = u16::try_from(2 + heights.sum::<usize>()).unwrap_or(u16::MAX).min(most_high);
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(theme.block(title)), place);
}

fn pair(name: &str, value: impl Into<String>, style: Style, theme: Theme) -> Line<'static> {
    Line::from(vec![Span::styled(format!(" {name:<13}"), theme.dim()), Span::styled(value.into(), style)])
}

fn of_task(task: &Task, theme: Theme) -> Vec<Line<'static>> {
    let plain = Style::new();
    let state = if task.is_worked_on() { plain } else { theme.outcome(&task.state) };
    let mut lines = vec![
        pair("task", &*task.id, plain, theme),
        pair("state", &*task.state, state, theme),
        pair("capability", &*task.capability, plain, theme),
        pair("runner", task.runner.as_deref().unwrap_or("none yet"), plain, theme),
        pair("took", short_span(task.took_ms), plain, theme),
        pair(
            "in, out",
            format!("{}, {}", bytes(task.traffic.bytes_in), bytes(task.traffic.bytes_out)),
            plain,
            theme,
        ),
    ];
    lines.extend(
        task.lease_ends_in_ms
            .map(|left| pair("lease", format!("ends in {}", short_span(left)), plain, theme)),
    );
    lines.extend(task.stage().map(|stage| pair("stage", stage, plain, theme)));
    lines.extend(task.limits.iter().filter(|limit| limit.used > 0).map(|limit| of_limit(limit, theme)));
    lines.extend(task.reason.as_deref().map(|reason| pair("why", reason, theme.bad(), theme)));
    lines
}

fn of_limit(limit: &Limit, theme: Theme) -> Line<'static> {
    let (name, say): (_, fn(u64) -> String) = match &*limit.limit {
        name if name.ends_with("_bytes") => (name.trim_end_matches("_bytes"), bytes),
        name if name.ends_with("_ms") => (name.trim_end_matches("_ms"), short_span),
        name => (name, |count| count.to_string()),
    };
    let style =
        if limit.used.saturating_mul(10) > limit.of.saturating_mul(9) { theme.warn() } else { Style::new() };
    pair(&name.replace('_', " "), format!("{} of {}", say(limit.used), say(limit.of)), style, theme)
}

fn of_runner(runner: &Runner, theme: Theme) -> Vec<Line<'static>> {
    let plain = Style::new();
    let (standing, style) = rows::standing(runner, theme);
    let mut lines = vec![
        pair("runner", &*runner.name, plain, theme),
        pair("state", standing, style, theme),
        pair(
            "serves",
            if runner.serves.is_empty() { "nothing".to_owned() } else { runner.serves_line() },
            plain,
            theme,
        ),
    ];
    if let Some(breaker) = runner.breaker.as_ref().filter(|breaker| &*breaker.state != "closed") {
        lines.extend(
            breaker.last_failure.as_deref().map(|failure| pair("failure", failure, theme.bad(), theme)),
        );
        lines.extend(
            breaker.half_open_in_secs.map(|left| pair("tried in", format!("{left} s"), plain, theme)),
        );
    }
    for one in &runner.generations {
        let runs = one.tasks;
        let sha: String = one.sha256.chars().take(12).collect();
        let text = format!(
            "#{} {} {}, {} running, {} completed, {} failed, sha256 {sha}",
            one.number, one.version, one.stage, runs.running, runs.completed, runs.failed
        );
        lines.push(pair("generation", text, plain, theme));
    }
    if let Some(live) = runner.generations.first() {
        lines.extend(live.granted.iter().map(|text| pair("granted", &**text, plain, theme)));
        lines.extend(live.not_granted.iter().map(|text| pair("not granted", &**text, theme.warn(), theme)));
    }
    if let Some(refused) = &runner.refused {
        lines.push(pair("refused", &*refused.reason, theme.bad(), theme));
    }
    lines
}
