//! What the node has left: slots, memory, folders, descriptors.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::theme::Theme;
use super::rows::bar;
use crate::amounts::bytes;
use crate::overview::Overview;

/// Columns of names, and of what stands behind a bar at most.
const NAME: usize = 10;
const BEHIND: usize = 21;
/// Columns of a bar at least and at most.
const BAR: (usize, usize) = (4, 24);

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, node: &Overview, theme: Theme) {
    let frame_of = theme.block("Capacity");
    let inner = frame_of.inner(area);
    frame.render_widget(frame_of, area);
    frame.render_widget(Paragraph::new(lines(node, usize::from(inner.width), theme)), inner);
}

fn lines(node: &Overview, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let capacity = &node.capacity;
    let used = capacity.memory_used;
    let bar = width.saturating_sub(NAME + BEHIND).clamp(BAR.0, BAR.1);
    let tasks = format!("{} of {}", capacity.running, capacity.slots);
    let memory = format!("{} of {}", bytes(used), bytes(capacity.memory_budget));
    let mut lines = vec![
        with_bar("tasks", (capacity.running, capacity.slots), bar, tasks, theme),
        with_bar("memory", (used, capacity.memory_budget), bar, memory, theme),
    ];
    let mut rest = Vec::new();
    for folder in &capacity.folders {
        let free =
            folder.free_bytes.map_or_else(|| "not known".to_owned(), |free| format!("{} free", bytes(free)));
        let inodes =
            folder.free_inodes.map_or_else(String::new, |inodes| format!(", {} inodes", thousands(inodes)));
        rest.push((folder.low, &*folder.variable, free + &inodes));
    }
    let descriptors =
        capacity.descriptors_free.map_or_else(|| "unlimited".to_owned(), |free| format!("{free} free"));
    let threads = capacity.threads.map_or_else(String::new, |threads| format!(", {threads} threads"));
    rest.push((capacity.descriptors_low, "files", descriptors + &threads));
    let machine = capacity
        .memory_available
        .map_or_else(|| "not known".to_owned(), |free| format!("{} available", bytes(free)));
    let promised = format!(", {} promised", bytes(capacity.memory_promised));
    rest.push((capacity.memory_low, "machine", machine + &promised));
    // Of what finds no room, what is scarce is not left out.
    rest.sort_by_key(|(low, ..)| !low);
    lines.extend(
        rest.into_iter()
            .map(|(low, name, text)| line(name, text, if low { theme.bad() } else { Style::new() }, theme)),
    );
    lines
}

fn line(name: &str, text: String, style: Style, theme: Theme) -> Line<'static> {
    Line::from(vec![Span::styled(format!("{name:<NAME$}"), theme.dim()), Span::styled(text, style)])
}

fn with_bar(name: &str, (used, of): (u64, u64), columns: usize, text: String, theme: Theme) -> Line<'static> {
    let part = if of == 0 { 0.0 } else { used as f64 / of as f64 };
    let [full, empty] = bar(part, columns);
    Line::from(vec![
        Span::styled(format!("{name:<NAME$}"), theme.dim()),
        Span::styled(full, theme.bar()),
        Span::styled(empty, theme.dim()),
        Span::raw(format!(" {text}")),
    ])
}

/// A count in as many columns as one can read at a glance.
fn thousands(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{} k", count / 1000),
        _ => format!("{:.1} M", count as f64 / 1e6),
    }
}
