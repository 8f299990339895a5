//! A table as Markdown.

use std::fmt;

use crate::results::figure::Unit;
use crate::results::table::{Column, Table};

impl Table {
    /// Rows and notes, without the title.
    pub(crate) fn body(&self) -> String {
        let mut head = vec![self.sides.clone()];
        let mut line = vec!["---"];
        if let Some(by) = &self.by {
            head.push(by.name.clone());
            line.push("---:");
        }
        head.extend(self.columns.iter().map(heading));
        line.extend(self.columns.iter().map(|_| "---:"));
        let mut text = format!("| {} |\n| {} |\n", head.join(" | "), line.join(" | "));
        for row in &self.rows {
            let mut cells = vec![row.side.clone()];
            if let Some(by) = &self.by {
                cells.push(row.at.map(|at| by.unit.shown(at)).unwrap_or_default());
            }
            let figures = row.figures.iter().zip(&self.columns);
            cells.extend(
                figures.map(|(figure, column)| figure.map_or(String::new(), |it| it.shown(column.unit))),
            );
            text += &format!("| {} |\n", cells.join(" | "));
        }
        for note in &self.notes {
            text += &format!("\n{note}\n");
        }
        text
    }
}

fn heading(column: &Column) -> String {
    match column.unit {
        Unit::PerSecond => format!("{}{}", column.name, column.unit.suffix()),
        _ => column.name.clone(),
    }
}

/// With its title.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n\n{}", self.title, self.body())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::figure::Figure;

    #[test]
    fn a_table_is_written_as_markdown() {
        let mut table = Table::new("tasks", "Tasks")
            .by("at once")
            .column("tasks", Unit::PerSecond)
            .column("time", Unit::Seconds);
        table.row("ours", Some(8.0), [Some(Figure::one(1000.0)), Some(Figure::of(vec![0.1, 0.2, 0.4]))]);
        table.row("theirs", Some(8.0), [Some(Figure::one(4.9)), None]);
        table.note("A note.");
        assert_eq!(
            table.to_string(),
            "## Tasks\n\n| node | at once | tasks a second | time |\n| --- | ---: | ---: | ---: |\n\
             | ours | 8 | 1,000 | 200 ms (100 ms to 400 ms) |\n| theirs | 8 | 4.90 |  |\n\nA note.\n\n"
        );
    }
}
