//! A table: rows of figures, each of one side of a comparison, and perhaps at one value of what grows.

use serde::{Deserialize, Serialize};

use crate::results::figure::{Figure, Unit};

/// A table of figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// Its name in its part.
    pub(crate) id: String,
    /// What was done.
    pub(crate) title: String,
    /// What the sides are: `node`, `who`.
    pub(crate) sides: String,
    /// What grows from row to row, if something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<Column>,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
    /// What has to be known beside the figures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
}

/// What the figures of a column are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) unit: Unit,
}

/// The figures of one side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) side: String,
    /// The value of what grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<f64>,
    /// One for each column; none where a side has none.
    pub(crate) figures: Vec<Option<Figure>>,
}

impl Table {
    /// A table without columns and rows.
    pub(crate) fn new(id: &str, title: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            title: title.into(),
            sides: "node".to_owned(),
            by: None,
            columns: Vec::new(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The same whose sides are called so.
    #[must_use]
    pub(crate) fn sides(mut self, name: &str) -> Self {
        self.sides = name.to_owned();
        self
    }

    /// The same in which a number grows.
    #[must_use]
    pub(crate) fn by(self, name: &str) -> Self {
        self.by_unit(name, Unit::Count)
    }

    /// The same in which an amount of this unit grows.
    #[must_use]
    pub(crate) fn by_unit(mut self, name: &str, unit: Unit) -> Self {
        self.by = Some(Column { name: name.to_owned(), unit });
        self
    }

    /// The same with a column more.
    #[must_use]
    pub(crate) fn column(mut self, name: &str, unit: Unit) -> Self {
        self.columns.push(Column { name: name.to_owned(), unit });
        self
    }

    /// Adds a row, with a figure for each column.
    pub(crate) fn row<const COLUMNS: usize>(
        &mut self,
        side: impl Into<String>,
        at: Option<f64>,
        figures: [Option<Figure>; COLUMNS],
    ) {
        self.rows.push(Row { side: side.into(), at, figures: figures.to_vec() });
    }

    /// Adds a note below the table.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}
