//! The first lines, which say how the node is, and the last one, which says what keys do.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::app::App;
use super::super::theme::Theme;
use crate::amounts::span;

/// What keys do, the most important first: what finds no room is left out.
const KEYS: [(&str, &str); 7] = [
    ("q", "quit"),
    ("?", "help"),
    ("Tab", "next list"),
    ("↑↓", "scroll"),
    ("Enter", "details"),
    ("p", "freeze"),
    ("s", "order"),
];

/// The state, and which node it is.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let node = &app.node;
    let badge = theme.state(&node.state).add_modifier(Modifier::REVERSED | Modifier::BOLD);
    let line = Line::from(vec![
        Span::styled(format!(" {} ", node.state_word()), badge),
        Span::raw(format!("  {} on {}", node.who, node.host)),
    ]);
    let right = format!(" v{}, pid {}, up {} ", node.version, node.pid, span(node.uptime_secs));
    let right_width = u16::try_from(right.len()).unwrap_or(area.width);
    // Who it is says more than for how long it runs.
    let line_width = u16::try_from(line.width()).unwrap_or(area.width);
    frame.render_widget(Paragraph::new(line), area);
    if line_width + right_width <= area.width {
        frame.render_widget(Paragraph::new(Line::styled(right, theme.dim()).right_aligned()), area);
    }
}

/// Why the node is not ready, what is not as it was asked for, and why it does not answer: the last one first.
pub(super) fn reasons(app: &App, theme: Theme) -> Vec<Line<'static>> {
    let line = |mark: &str, text: &str, style| Line::styled(format!(" {mark} {text}"), style);
    let silent = app.error.iter().map(|error| line("✗", &format!("no answer: {error}"), theme.bad()));
    let missing = app.node.missing.iter().map(|text| line("✗", text, theme.state(&app.node.state)));
    let warnings = app.node.warnings.iter().map(|text| line("!", text, theme.warn()));
    silent.chain(missing).chain(warnings).collect()
}

/// As many as there is room for, and how many more there are.
pub(super) fn draw_reasons(frame: &mut Frame<'_>, area: Rect, mut reasons: Vec<Line<'static>>) {
    let room = usize::from(area.height);
    let more = reasons.len().saturating_sub(room);
    reasons.truncate(room);
    if more > 0
        && let Some(last) = reasons.last_mut()
    {
        *last = Line::from(format!("   and {} more (`posemesh-node status` prints all)", more + 1));
    }
    frame.render_widget(Paragraph::new(reasons), area);
}

/// What keys do, and how old what is shown is.
pub(super) fn draw_keys(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let age = app.age().as_secs();
    let (state, style) = match (app.frozen, age) {
        (true, _) => (format!(" FROZEN, {} ago ", span(age)), theme.warn().add_modifier(Modifier::REVERSED)),
        (false, 0..5) => (" live ".to_owned(), theme.good()),
        (false, _) => (format!(" {} ago ", span(age)), theme.bad()),
    };
    let mut room = usize::from(area.width).saturating_sub(state.chars().count());
    let mut spans = Vec::new();
    for (key, what) in KEYS {
        let width = key.chars().count() + what.chars().count() + 3;
        if width > room {
            break;
        }
        room -= width;
        spans.push(Span::styled(format!(" {key}"), theme.accent()));
        spans.push(Span::styled(format!(" {what} "), theme.dim()));
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
    frame.render_widget(Paragraph::new(Line::styled(state, style).right_aligned()), area);
}
