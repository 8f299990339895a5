//! docs/benchmarks.md and its plots, from a template and the results.

mod axis;
mod plot;
mod plots;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use self::plots::PLOTS;
use crate::results::{Results, write};

/// The prose, with places for tables, plots and circumstances.
const TEMPLATE: &str = include_str!("../benchmarks.md");
/// What the document begins with.
const HEAD: &str = "<!-- Written by `cargo xtask bench` from bench/benchmarks.md and bench/results.json: change those. -->\n\n";
/// Where plots are, beside the document.
const PLOTS_FOLDER: &str = "benchmarks";

/// The files of a run.
pub(crate) struct Files {
    root: PathBuf,
}

impl Files {
    /// Below a folder that looks like the repository.
    pub(crate) fn below(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn results(&self) -> PathBuf {
        self.root.join("bench/results.json")
    }

    pub(crate) fn document(&self) -> PathBuf {
        self.root.join("docs/benchmarks.md")
    }

    fn plots(&self) -> PathBuf {
        self.root.join("docs").join(PLOTS_FOLDER)
    }

    /// Writes the document and its plots anew.
    ///
    /// # Errors
    /// If a file can't be written, or the template names something that there is not.
    pub(crate) fn write_document(&self, results: &Results) -> Result<()> {
        for plot in &PLOTS {
            if let Some(picture) = plot.draw(results) {
                write(&self.plots().join(plot.file()), &picture)?;
            }
        }
        write(&self.document(), &render(TEMPLATE, results)?)
    }

    /// Where a file is, for people.
    pub(crate) fn short<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

/// The template with its places filled.
fn render(template: &str, results: &Results) -> Result<String> {
    let mut text = HEAD.to_owned();
    for line in template.lines() {
        match place(line) {
            None => text += line,
            Some(place) => text += filled(place, results)?.trim_end(),
        }
        text.push('\n');
    }
    Ok(text)
}

/// What a line is a place for: its words.
fn place(line: &str) -> Option<&str> {
    line.trim().strip_prefix("<!-- ")?.strip_suffix(" -->")
}

fn filled(place: &str, results: &Results) -> Result<String> {
    let not_yet = |part: &str| format!("*Not measured yet: `cargo xtask bench all --only {part}`.*");
    match place.split_once(' ') {
        Some(("table", name)) => {
            let (part, id) =
                name.split_once('/').with_context(|| format!("`{place}` should be `table PART/TABLE`"))?;
            Ok(results.table(part, id).map_or_else(|| not_yet(part), |table| table.body()))
        }
        Some(("measured", part)) => Ok(results
            .parts
            .get(part)
            .map_or_else(|| not_yet(part), |found| format!("Measured {}.", found.circumstances))),
        Some(("plot", name)) => {
            let plot = PLOTS.iter().find(|plot| plot.name == name);
            let plot = plot.with_context(|| {
                format!("bench/benchmarks.md has a place for a plot `{name}`, which there is not")
            })?;
            if plot.draw(results).is_none() {
                return Ok(not_yet(plot.part));
            }
            Ok(format!("![{}]({PLOTS_FOLDER}/{})", plot.title, plot.file()))
        }
        _ => bail!("bench/benchmarks.md has a place `{place}`: it can be for `table`, `measured` or `plot`"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn the_document_is_what_template_and_results_make_of_it() {
        let files = Files::below(root());
        let results = Results::read(&files.results()).unwrap();
        let now = std::fs::read_to_string(files.document()).unwrap();
        let cure = "`cargo xtask bench document` writes it anew";
        assert_eq!(now, render(TEMPLATE, &results).unwrap(), "docs/benchmarks.md is stale; {cure}");
        for plot in &PLOTS {
            let Some(picture) = plot.draw(&results) else { continue };
            let now = std::fs::read_to_string(files.plots().join(plot.file())).unwrap_or_default();
            assert_eq!(now, picture, "docs/{PLOTS_FOLDER}/{} is stale; {cure}", plot.file());
        }
    }

    #[test]
    fn every_table_and_every_plot_has_one_place() {
        let results = Results::read(&Files::below(root()).results()).unwrap();
        let mut wanted: Vec<String> = PLOTS.iter().map(|plot| format!("plot {}", plot.name)).collect();
        for (name, part) in &results.parts {
            wanted.push(format!("measured {name}"));
            wanted.extend(part.tables.iter().map(|table| format!("table {name}/{}", table.id)));
        }
        let places: Vec<&str> = TEMPLATE.lines().filter_map(place).collect();
        for wanted in wanted {
            let found = places.iter().filter(|place| **place == wanted).count();
            assert_eq!(found, 1, "bench/benchmarks.md has {found} places `<!-- {wanted} -->`");
        }
    }

    #[test]
    fn what_was_not_measured_is_said() {
        let text = render("a\n<!-- table tasks/tasks -->\n<!-- plot concurrency -->\nb", &Results::default());
        let text = text.unwrap();
        assert!(text.starts_with(HEAD) && text.ends_with("\nb\n"), "{text}");
        assert_eq!(
            text.matches("Not measured yet: `cargo xtask bench all --only tasks`").count(),
            2,
            "{text}"
        );
        for place in ["<!-- table tasks -->", "<!-- plot none -->", "<!-- something -->"] {
            assert!(render(place, &Results::default()).is_err(), "{place}");
        }
    }
}
