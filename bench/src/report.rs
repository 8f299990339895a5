//! Where measurements go: each table is printed when it is whole, and kept for the files.

use crate::results::Table;

/// The tables of one part.
#[derive(Default)]
pub(crate) struct Report {
    tables: Vec<Table>,
}

impl Report {
    /// Prints a table and keeps it.
    pub(crate) fn table(&mut self, table: Table) {
        println!("{table}");
        self.tables.push(table);
    }

    /// All of them.
    pub(crate) fn into_tables(self) -> Vec<Table> {
        self.tables
    }
}

/// Says on standard error what is measured now: some of it takes minutes.
pub(crate) fn progress(what: impl std::fmt::Display) {
    eprintln!("  {what}");
}
