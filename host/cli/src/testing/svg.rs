//! A picture of a terminal, for the documents.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

/// Width and height of a cell, and where letters stand in it, in pixels.
const CELL: (f64, f64) = (8.4, 18.0);
const BASE: f64 = 13.5;
const BACKGROUND: &str = "#0f1318";
const FOREGROUND: &str = "#e4e8ec";
const EIGHTHS_HIGH: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const EIGHTHS_WIDE: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// Text as a terminal shows it, without colours, cut at so many columns.
pub(crate) fn of_text(text: &str, columns: u16) -> String {
    let lines = u16::try_from(text.lines().count()).unwrap_or(u16::MAX);
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns, lines));
    for (line, at) in text.lines().zip(0..) {
        buffer.set_stringn(0, at, line, usize::from(columns), ratatui::style::Style::new());
    }
    of(&buffer)
}

/// A screen with its colours.
pub(crate) fn of(buffer: &Buffer) -> String {
    let area = buffer.area;
    let (width, height) = (f64::from(area.width) * CELL.0 + 16.0, f64::from(area.height) * CELL.1 + 16.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" font-family=\"ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n"
    );
    for y in area.top()..area.bottom() {
        line(&mut svg, buffer, y);
    }
    svg + "</svg>\n"
}

/// The cells of a line, as many in one element as look the same.
fn line(svg: &mut String, buffer: &Buffer, y: u16) {
    let mut x = buffer.area.left();
    while x < buffer.area.right() {
        let look = Look::of(buffer, x, y);
        let from = x;
        let mut text = String::new();
        while x < buffer.area.right() && Look::of(buffer, x, y) == look {
            text.push_str(buffer.cell((x, y)).map_or(" ", |cell| cell.symbol()));
            x += 1;
        }
        look.write(svg, &text, from, y);
    }
}

#[derive(PartialEq)]
struct Look {
    ink: &'static str,
    paper: Option<&'static str>,
    is_bold: bool,
    is_underlined: bool,
    /// A part of a cell is drawn, not written: fonts leave gaps between lines.
    block: Option<char>,
}

impl Look {
    fn of(buffer: &Buffer, x: u16, y: u16) -> Self {
        let Some(cell) = buffer.cell((x, y)) else {
            return Self { ink: FOREGROUND, paper: None, is_bold: false, is_underlined: false, block: None };
        };
        let ink = ink(cell.fg);
        let has = |modifier| cell.modifier.contains(modifier);
        let (ink, paper) = if has(Modifier::REVERSED) { (BACKGROUND, Some(ink)) } else { (ink, None) };
        let first = cell.symbol().chars().next().unwrap_or(' ');
        let block = (EIGHTHS_HIGH.contains(&first) || EIGHTHS_WIDE.contains(&first)).then_some(first);
        Self { ink, paper, is_bold: has(Modifier::BOLD), is_underlined: has(Modifier::UNDERLINED), block }
    }

    fn write(&self, svg: &mut String, text: &str, x: u16, y: u16) {
        let cells = text.chars().count() as f64;
        let (left, top) = (f64::from(x) * CELL.0 + 8.0, f64::from(y) * CELL.1 + 8.0);
        let wide = cells * CELL.0;
        let mut rect = |x: f64, y: f64, width: f64, height: f64, fill: &str| {
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>"
            );
        };
        if let Some(paper) = self.paper {
            rect(left, top, wide, CELL.1, paper);
        }
        if let Some(block) = self.block {
            let part =
                |of: [char; 8]| of.iter().position(|one| *one == block).map(|at| (at + 1) as f64 / 8.0);
            match (part(EIGHTHS_HIGH), part(EIGHTHS_WIDE)) {
                (Some(high), _) => rect(left, top + CELL.1 * (1.0 - high), wide, CELL.1 * high, self.ink),
                (None, Some(part)) => rect(left, top, CELL.0 * part, CELL.1, self.ink),
                (None, None) => {}
            }
            return;
        }
        // Spaces at the ends need no letters, but for a line below them.
        let trimmed = text.trim_end();
        if trimmed.is_empty() {
            return;
        }
        let skipped = (trimmed.chars().count() - trimmed.trim_start().chars().count()) as f64;
        let shown = trimmed.trim_start();
        let (from, length) = (left + skipped * CELL.0, shown.chars().count() as f64 * CELL.0);
        let bold = if self.is_bold { " font-weight=\"bold\"" } else { "" };
        let line = if self.is_underlined { " text-decoration=\"underline\"" } else { "" };
        let escaped = shown.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            svg,
            "<text x=\"{from:.1}\" y=\"{:.1}\" textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{}\"{bold}{line} \
             xml:space=\"preserve\">{escaped}</text>",
            top + BASE,
            self.ink
        );
    }
}

fn ink(colour: Color) -> &'static str {
    match colour {
        Color::Green => "#4cc26a",
        Color::Yellow => "#d9a32f",
        Color::Red => "#ff6b64",
        Color::Blue => "#6aa0ff",
        Color::Cyan => "#56c8d8",
        Color::DarkGray => "#98a2ad",
        _ => FOREGROUND,
    }
}
