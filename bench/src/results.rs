//! What was measured, in one form: JSON, Markdown tables and plots are made of it.

mod figure;
pub(crate) mod machine;
mod markdown;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

pub(crate) use self::figure::{Figure, Unit};
pub(crate) use self::machine::Circumstances;
pub(crate) use self::table::Table;

/// Everything that was measured, by the name of its part.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Results {
    pub(crate) parts: BTreeMap<String, Part>,
}

/// What one command measures.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    pub(crate) circumstances: Circumstances,
    pub(crate) tables: Vec<Table>,
}

impl Results {
    /// What is in the file; nothing if there is no such file.
    ///
    /// # Errors
    /// If it can't be read, or has another form.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        serde_json::from_str(&text).with_context(|| {
            format!(
                "reading {}: it is not what this version of the bench writes; remove it to begin anew",
                path.display()
            )
        })
    }

    /// Writes the file.
    ///
    /// # Errors
    /// If it can't be written.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("writing the results as JSON")? + "\n";
        write(path, &text)
    }

    /// A table, by `PART/TABLE`.
    pub(crate) fn table(&self, part: &str, table: &str) -> Option<&Table> {
        self.parts.get(part)?.tables.iter().find(|found| found.id == table)
    }
}

/// Writes a file whole: a reader sees the old one or the new one.
///
/// # Errors
/// If it can't be written.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let writing = || format!("writing {}", path.display());
    let folder = path.parent().with_context(writing)?;
    std::fs::create_dir_all(folder).with_context(writing)?;
    let half = path.with_extension("new");
    std::fs::write(&half, text).with_context(writing)?;
    std::fs::rename(&half, path).with_context(writing)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/results.json");
        assert!(Results::read(&path).unwrap().parts.is_empty());
        let mut table = Table::new("a", "A table").by("at once").column("time", Unit::Seconds);
        table.row("one", Some(8.0), [Some(Figure::of(vec![0.1, 0.3, 0.2]))]);
        let part = Part { circumstances: Circumstances::default(), tables: vec![table] };
        let results = Results { parts: [("part".to_owned(), part)].into() };
        results.write(&path).unwrap();
        let again = Results::read(&path).unwrap();
        assert_eq!(again.table("part", "a"), results.table("part", "a"));
        assert_eq!(again.table("part", "b"), None);
    }

    #[test]
    fn another_form_is_told_with_its_cure() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.json");
        std::fs::write(&path, "{\"parts\": 7}").unwrap();
        let error = format!("{:#}", Results::read(&path).unwrap_err());
        assert!(error.contains("remove it to begin anew"), "{error}");
    }
}
