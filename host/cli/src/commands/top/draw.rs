//! A frame: where everything stands. What stands there is drawn by the modules below.

mod capacity;
mod header;
mod hour;
mod pane;
mod popup;
mod rows;
mod servers;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::widgets::Paragraph;

use super::app::{App, Pane, Popup};
use super::theme::Theme;

/// The smallest screen that shows anything of use.
const SMALLEST: (u16, u16) = (40, 12);
/// From these lines on a screen has room for all lists at the same time, and for larger plots.
const TALL: u16 = 34;
/// From these columns on servers and capacity have room beside each other.
const WIDE: u16 = 70;
/// How many reasons are shown at most.
const REASONS: u16 = 4;

/// Draws everything. Reads nothing but `app`, and changes of it only how far lists are scrolled.
pub(super) fn draw(frame: &mut Frame<'_>, app: &mut App, theme: Theme) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let (width, height) = SMALLEST;
        frame.render_widget(Paragraph::new(format!("too small: {width} × {height} at least")), area);
        return;
    }
    let is_tall = area.height >= TALL;
    let reasons = header::reasons(app, theme);
    let shown = u16::try_from(reasons.len()).unwrap_or(REASONS).min(REASONS);
    // What does not fit goes from the bottom up: first the plots, then servers and capacity.
    let left = area.height.saturating_sub(2 + shown);
    let band = match (is_tall, left) {
        (true, _) => 8,
        (false, 12..) => 6,
        (false, _) => 0,
    };
    let hour = match (is_tall, left) {
        (true, _) => 6,
        (false, 17..) => 5,
        (false, _) => 0,
    };
    let [top, why, band, hour, lists, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(shown),
        Constraint::Length(band),
        Constraint::Length(hour),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    header::draw(frame, top, app, theme);
    header::draw_reasons(frame, why, reasons);
    if band.width >= WIDE {
        let [left, right] =
            Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(band);
        servers::draw(frame, left, &app.node, theme);
        capacity::draw(frame, right, &app.node, theme);
    } else {
        servers::draw(frame, band, &app.node, theme);
    }
    hour::draw(frame, hour, &app.node, theme);
    draw_lists(frame, lists, app, theme);
    header::draw_keys(frame, bottom, app, theme);
    match app.popup {
        Some(Popup::Help) => popup::help(frame, area, theme),
        Some(Popup::Details) => popup::details(frame, area, app, theme),
        None => {}
    }
}

/// All lists if there is room, else the one that the keys move, with the names of the others.
fn draw_lists(frame: &mut Frame<'_>, area: Rect, app: &mut App, theme: Theme) {
    if area.height < 18 {
        pane::draw_alone(frame, area, app, theme);
        return;
    }
    let [now, runners, last] =
        Layout::vertical([Constraint::Fill(4), Constraint::Fill(4), Constraint::Fill(5)]).areas(area);
    for (pane, area) in [(Pane::Now, now), (Pane::Runners, runners), (Pane::Last, last)] {
        pane::draw(frame, area, app, pane, theme);
    }
}
