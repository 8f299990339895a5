//! The last hour, a minute each: how many tasks ended, and how long they took.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline};

use super::super::theme::Theme;
use crate::amounts::short_span;
use crate::overview::{Minute, Overview};

const MINUTES: u64 = 60;
/// Columns of what stands before a plot.
const LABEL: u16 = 19;
/// From these columns on both plots have room beside each other.
const BESIDE: u16 = 100;

struct Plot {
    name: &'static str,
    /// The figure beside the name.
    figure: String,
    of: fn(&Minute) -> u64,
    style: Style,
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, node: &Overview, theme: Theme) {
    if area.height == 0 {
        return;
    }
    let hour = &node.hour;
    let sum = |of: fn(&Minute) -> u64| hour.iter().map(of).sum::<u64>().to_string();
    let most =
        |of: fn(&Minute) -> u64| hour.iter().map(of).max().map_or_else(|| "none".to_owned(), short_span);
    let plot = |name, figure, of, style| Plot { name, figure, of, style };
    let completed: fn(&Minute) -> u64 = |minute| minute.completed;
    let failed: fn(&Minute) -> u64 = |minute| minute.failed + minute.lost;
    let median: fn(&Minute) -> u64 = |minute| minute.median_ms;
    let slow: fn(&Minute) -> u64 = |minute| minute.p95_ms;
    let worst = node.hour_failures.first();
    let worst = worst
        .map_or_else(String::new, |one| format!("; failed: {} ({})", one.kind.replace('_', " "), one.blame));
    let ended = [
        plot("completed", sum(completed), completed, theme.good()),
        plot("failed, lost", sum(failed), failed, theme.bad()),
    ];
    let took =
        [plot("median", most(median), median, theme.bar()), plot("95 %", most(slow), slow, theme.warn())];
    if area.width >= BESIDE && area.height >= 6 {
        let [left, right] =
            Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(area);
        draw_plots(frame, left, &format!("Ended a minute, last hour{worst}"), &ended, hour, theme);
        draw_plots(frame, right, "Time of a task, last hour", &took, hour, theme);
    } else {
        let [completed, failed] = ended;
        let [_, slow] = took;
        let title = format!("Last hour: ended a minute, time of a task{worst}");
        draw_plots(frame, area, &title, &[completed, failed, slow], hour, theme);
    }
}

fn draw_plots(frame: &mut Frame<'_>, area: Rect, title: &str, plots: &[Plot], hour: &[Minute], theme: Theme) {
    let frame_of = theme.block(title);
    let inner = frame_of.inner(area);
    frame.render_widget(frame_of, area);
    let height = inner.height / u16::try_from(plots.len()).unwrap_or(1).max(1);
    for (plot, top) in plots.iter().zip((inner.y..).step_by(usize::from(height.max(1)))) {
        let row = Rect { y: top, height: height.min(inner.bottom().saturating_sub(top)), ..inner };
        let [label, bars] = Layout::horizontal([Constraint::Length(LABEL), Constraint::Fill(1)]).areas(row);
        let line = Line::from(vec![
            Span::styled(format!("{:<13}", plot.name), theme.dim()),
            Span::raw(plot.figure.clone()),
        ]);
        frame.render_widget(Paragraph::new(line), label);
        let data = columns(hour, plot.of, bars.width);
        frame.render_widget(Sparkline::default().data(&data).style(plot.style), bars);
    }
}

/// The hour over so many columns, the oldest minute first. A column that stands for several minutes has the highest of them.
fn columns(hour: &[Minute], of: fn(&Minute) -> u64, width: u16) -> Vec<u64> {
    let width = u64::from(width.max(1));
    let at = |age: u64| hour.iter().filter(|minute| minute.ago == age).map(of).max().unwrap_or_default();
    (0..width)
        .map(|column| {
            let (from, to) = (column * MINUTES / width, ((column + 1) * MINUTES).div_ceil(width));
            (from..to).map(|minute| at(MINUTES - 1 - minute.min(MINUTES - 1))).max().unwrap_or_default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_minute_is_seen_whatever_the_width() {
        let hour: Vec<Minute> =
            (0..60).map(|ago| Minute { ago, completed: ago + 1, ..Minute::default() }).collect();
        for width in [1, 7, 40, 59, 60, 61, 120, 200] {
            let columns = columns(&hour, |minute| minute.completed, width);
            assert_eq!(columns.len(), usize::from(width));
            assert_eq!(columns.first(), Some(&60), "the oldest is on the left of {width}");
            assert!(width < 60 || columns.last() == Some(&1), "this minute is on the right of {width}");
            assert!(columns.is_sorted_by(|one, next| one >= next), "{columns:?}");
        }
        assert_eq!(columns(&[], |minute| minute.completed, 3), [0, 0, 0]);
    }
}
