//! The lists: tasks that are worked on, runners, tasks that have ended.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{
    Block, BorderType, Paragraph, Row, Scrollbar, ScrollbarOrientation, ScrollbarState, Table,
};

use super::super::app::{App, Pane};
use super::super::theme::Theme;
use super::rows::{self, Columns};

/// Draws a list in a frame of its own.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &mut App, pane: Pane, theme: Theme) {
    let title = vec![title(app, pane, theme)];
    draw_in(frame, area, app, pane, title, theme);
}

/// Draws the list that the keys move, with the names of all in its frame.
pub(super) fn draw_alone(frame: &mut Frame<'_>, area: Rect, app: &mut App, theme: Theme) {
    let titles = Pane::ALL.map(|pane| title(app, pane, theme)).into();
    draw_in(frame, area, app, app.pane, titles, theme);
}

fn title(app: &App, pane: Pane, theme: Theme) -> Span<'static> {
    let name = match pane {
        Pane::Now => "Tasks now",
        Pane::Runners => "Runners",
        Pane::Last => "Last tasks",
    };
    let style =
        if pane == app.pane { theme.accent().add_modifier(Modifier::UNDERLINED) } else { theme.dim() };
    Span::styled(format!("{name} {}", app.lines(pane)), style)
}

fn draw_in(
    frame: &mut Frame<'_>,
    area: Rect,
    app: &mut App,
    pane: Pane,
    titles: Vec<Span<'static>>,
    theme: Theme,
) {
    let is_moved = pane == app.pane;
    let mut line = Line::default();
    for title in titles {
        line.push_span(Span::raw(" "));
        line.push_span(title);
        line.push_span(Span::raw(" "));
    }
    if pane == Pane::Now {
        line.push_span(Span::styled(format!(" {} ", app.order.word()), theme.dim()));
    }
    let frame_of = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(if is_moved { theme.accent().remove_modifier(Modifier::BOLD) } else { theme.dim() })
        .title(line);
    let inner = frame_of.inner(area);
    frame.render_widget(frame_of, area);
    let lines = app.lines(pane);
    if lines == 0 {
        frame.render_widget(Paragraph::new(empty(pane)).style(theme.dim()), inner);
        return;
    }
    let Columns { heads, widths, rows } = match pane {
        Pane::Now => rows::now(app, inner.width, theme),
        Pane::Runners => rows::runners(&app.node, inner.width, theme),
        Pane::Last => rows::last(app, inner.width, theme),
    };
    let table = Table::new(rows, widths)
        .header(Row::new(heads).style(theme.dim()))
        .column_spacing(1)
        .row_highlight_style(if is_moved { theme.chosen() } else { Style::new() });
    frame.render_stateful_widget(table, inner, app.table(pane));
    // Below the head.
    let seen = usize::from(inner.height.saturating_sub(1));
    if lines > seen {
        let at = app.table(pane).offset();
        let mut state = ScrollbarState::new(lines.saturating_sub(seen)).position(at);
        let bar = Scrollbar::new(ScrollbarOrientation::VerticalRight).begin_symbol(None).end_symbol(None);
        let place = Rect { y: area.y + 1, height: area.height.saturating_sub(2), ..area };
        frame.render_stateful_widget(bar.style(theme.dim()), place, &mut state);
    }
}

fn empty(pane: Pane) -> &'static str {
    match pane {
        Pane::Now => " no task is worked on",
        Pane::Runners => " PLUGINS_DIR has no runner",
        Pane::Last => " no task has ended yet",
    }
}
