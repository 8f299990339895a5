//! A plot as SVG. Written by hand, since it follows the reader's colour scheme by a style sheet of its own, which the libraries
//! that draw don't have; what is left to draw are lines, points and words.

use std::fmt::Write as _;

use crate::document::axis::Axis;
use crate::results::{Figure, Results, Table, Unit};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
/// Where lines are drawn: left, right, top, bottom.
const FRAME: (f64, f64, f64, f64) = (78.0, 740.0, 66.0, 368.0);
/// Colours of the sides, told apart without colours by their marks; for light pages and for dark ones, with a ground of their
/// own, since a page may be dark where the system is light.
const STYLE: &str = ".back{fill:#fff}text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-size:15px;font-weight:600}\
.grid{stroke:#d0d7de;stroke-width:1}.line{fill:none;stroke-width:2}.spread{stroke-width:1.5;opacity:.55}\
.s0{stroke:#0969da;fill:#0969da}.s1{stroke:#9a6700;fill:#9a6700}.s2{stroke:#1a7f37;fill:#1a7f37}\
.s3{stroke:#cf222e;fill:#cf222e}.line.s0,.line.s1,.line.s2,.line.s3{fill:none}\
@media(prefers-color-scheme:dark){.back{fill:#0d1117}text{fill:#e6edf3}.grid{stroke:#3d444d}.s0{stroke:#4493f8;fill:#4493f8}\
.s1{stroke:#d29922;fill:#d29922}.s2{stroke:#3fb950;fill:#3fb950}.s3{stroke:#f85149;fill:#f85149}\
.line.s0,.line.s1,.line.s2,.line.s3{fill:none}}";
/// More sides than this are not drawn.
const SIDES: usize = 4;

/// Which column of which table is drawn.
pub(super) struct Plot {
    pub(super) name: &'static str,
    pub(super) part: &'static str,
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    pub(super) title: &'static str,
}

/// One side: what grows, and the figure there.
struct Line<'a> {
    side: &'a str,
    points: Vec<(f64, Figure)>,
}

impl Plot {
    /// The name of its file.
    pub(super) fn file(&self) -> String {
        format!("{}.svg", self.name)
    }

    /// The picture; none if there is nothing to draw yet.
    pub(super) fn draw(&self, results: &Results) -> Option<String> {
        let table = results.table(self.part, self.table)?;
        let by = table.by.as_ref()?;
        let column = table.columns.iter().position(|column| column.name == self.column)?;
        let lines = lines(table, column);
        let across: Vec<f64> = lines.iter().flat_map(|line| line.points.iter().map(|(at, _)| *at)).collect();
        let up =
            lines.iter().flat_map(|line| line.points.iter().flat_map(|(_, it)| [it.low, it.median, it.high]));
        let up: Vec<f64> = up.collect();
        if across.is_empty() {
            return None;
        }
        let (left, right, top, bottom) = FRAME;
        let (x, y) = (Axis::of(&across, (left, right)), Axis::of(&up, (bottom, top)).with_room());
        let unit = table.columns.get(column)?.unit;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
             height=\"{HEIGHT}\" role=\"img\" aria-label=\"{title}\"><style>{STYLE}</style>\n\
             <rect class=\"back\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\"/>\n\
             <text class=\"title\" x=\"12\" y=\"24\">{title}</text>\n",
            title = escaped(self.title)
        );
        grid(&mut svg, (&x, &y), &across, (by.unit, unit));
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            (left + right) / 2.0,
            HEIGHT - 12.0,
            escaped(&by.name)
        );
        legend(&mut svg, &lines);
        for (number, line) in lines.iter().enumerate() {
            draw_line(&mut svg, number, line, (&x, &y), (by.unit, unit));
        }
        Some(svg + "</svg>\n")
    }
}

fn lines(table: &Table, column: usize) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for row in &table.rows {
        let (Some(at), Some(Some(figure))) = (row.at, row.figures.get(column)) else { continue };
        match lines.iter_mut().find(|line| line.side == row.side) {
            Some(line) => line.points.push((at, *figure)),
            None => lines.push(Line { side: &row.side, points: vec![(at, *figure)] }),
        }
    }
    lines.truncate(SIDES);
    lines
}

/// Lines behind the figures, with their values.
fn grid(svg: &mut String, (x, y): (&Axis, &Axis), across: &[f64], (x_unit, y_unit): (Unit, Unit)) {
    let (left, right, top, bottom) = FRAME;
    for mark in y.marks() {
        let at = y.place(mark);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{left:.1}\" y1=\"{at:.1}\" x2=\"{right:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 8.0,
            at + 4.5,
            y_unit.shown(mark)
        );
    }
    let mut marks = across.to_vec();
    marks.sort_unstable_by(f64::total_cmp);
    marks.dedup();
    if marks.len() > 10 {
        marks = x.marks();
    }
    for mark in marks {
        let at = x.place(mark);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{top:.1}\" x2=\"{at:.1}\" y2=\"{bottom:.1}\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 18.0,
            x_unit.shown(mark)
        );
    }
}

fn legend(svg: &mut String, lines: &[Line<'_>]) {
    let mut at = FRAME.0;
    for (number, line) in lines.iter().enumerate() {
        mark(svg, number, (at, 46.0));
        let side = line.side.replace('`', "");
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"50.5\">{}</text>", at + 11.0, escaped(&side));
        // Letters of this size are eight wide, about.
        at += 34.0 + 8.0 * side.chars().count() as f64;
    }
}

fn draw_line(
    svg: &mut String,
    number: usize,
    line: &Line<'_>,
    (x, y): (&Axis, &Axis),
    (x_unit, y_unit): (Unit, Unit),
) {
    let places: Vec<String> =
        line.points.iter().map(|(at, it)| format!("{:.1},{:.1}", x.place(*at), y.place(it.median))).collect();
    let _ = writeln!(svg, "<polyline class=\"line s{number}\" points=\"{}\"/>", places.join(" "));
    // Very many points are a line.
    if line.points.len() > 20 {
        return;
    }
    for (at, it) in &line.points {
        let across = x.place(*at);
        let _ = write!(
            svg,
            "<g><title>{}, {}: {}</title><line class=\"spread s{number}\" x1=\"{across:.1}\" y1=\"{:.1}\" \
             x2=\"{across:.1}\" y2=\"{:.1}\"/>",
            escaped(line.side),
            x_unit.shown(*at),
            escaped(&it.shown(y_unit)),
            y.place(it.low),
            y.place(it.high)
        );
        mark(svg, number, (across, y.place(it.median)));
        svg.push_str("</g>\n");
    }
}

/// The mark of a side: a circle, a square, a triangle or a diamond.
fn mark(svg: &mut String, number: usize, (x, y): (f64, f64)) {
    let _ = match number {
        0 => write!(svg, "<circle class=\"s0\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>"),
        1 => write!(
            svg,
            "<rect class=\"s1\" x=\"{:.1}\" y=\"{:.1}\" width=\"8\" height=\"8\"/>",
            x - 4.0,
            y - 4.0
        ),
        2 => write!(svg, "<path class=\"s2\" d=\"M{x:.1} {:.1}l5 9h-10z\"/>", y - 5.5),
        _ => write!(svg, "<path class=\"s3\" d=\"M{x:.1} {:.1}l5.5 5.5l-5.5 5.5l-5.5 -5.5z\"/>", y - 5.5),
    };
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::results::{Circumstances, Part};

    const PLOT: Plot = Plot { name: "p", part: "part", table: "t", column: "time", title: "A & B" };

    fn results(rows: &[(&str, f64, f64)]) -> Results {
        let mut table = Table::new("t", "A table").by("at once").column("time", Unit::Seconds);
        for (side, at, value) in rows {
            table.row(*side, Some(*at), [Some(Figure::of(vec![*value, 2.0 * value]))]);
        }
        let part = Part { circumstances: Circumstances::default(), tables: vec![table] };
        Results { parts: [("part".to_owned(), part)].into() }
    }

    #[test]
    fn each_side_is_a_line_with_a_mark_for_each_figure() {
        let svg = PLOT.draw(&results(&[("`ours`", 1.0, 0.1), ("`ours`", 100.0, 10.0), ("theirs", 1.0, 3.0)]));
        let svg = svg.unwrap();
        assert_eq!(svg.matches("<polyline").count(), 2, "{svg}");
        assert_eq!(svg.matches("<title>").count(), 3, "{svg}");
        for wanted in
            [">ours</text>", ">theirs</text>", "A &amp; B", "prefers-color-scheme:dark", ">at once</text>"]
        {
            assert!(svg.contains(wanted), "{wanted}: {svg}");
        }
    }

    #[test]
    fn everything_is_inside_of_the_picture() {
        let svg = PLOT.draw(&results(&[("a", 1.0, 1e-6), ("a", 200.0, 50.0), ("b", 64.0, 0.3)])).unwrap();
        for line in svg.lines().filter_map(|line| line.split_once("points=\"")) {
            for point in line.1.split('"').next().unwrap().split(' ') {
                let (x, y) = point.split_once(',').unwrap();
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                assert!((FRAME.0..=FRAME.1).contains(&x) && (FRAME.2..=FRAME.3).contains(&y), "{point}");
            }
        }
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(PLOT.draw(&Results::default()), None);
        assert_eq!(PLOT.draw(&results(&[])), None);
    }
}
