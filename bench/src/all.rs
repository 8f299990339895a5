//! Everything, written into docs/benchmarks.md, its plots and bench/results.json.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use posemesh_tests::node_binary;

use crate::document::Files;
use crate::report::{Report, progress};
use crate::results::{Circumstances, Part, Results};
use crate::size::Size;
use crate::{compute, fleet, inputs, node, peers, plugins, runners, storage, tasks};

/// The largest artifact of a short run.
const SHORT: &str = "1MiB";

/// What is measured, and where it is written.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Measure only these parts, with commas; the others keep their results and their date
    #[arg(long, value_delimiter = ',', value_enum, value_name = "PARTS")]
    only: Vec<PartName>,
    /// Leave out artifacts that are larger
    #[arg(long, value_name = "SIZE", default_value = "4GiB")]
    largest: Size,
    /// Small sizes and few runs, into target/bench: shows that everything can be measured, and not what it costs
    #[arg(long)]
    short: bool,
    /// Folder for three times the largest artifact, on a disk. Default: the folder for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PartName {
    Plugins,
    Peers,
    Compute,
    Tasks,
    Inputs,
    Runners,
    Node,
    Fleet,
    Storage,
}

impl Default for Options {
    fn default() -> Self {
        // Of no arguments there are defaults.
        Self { only: Vec::new(), largest: Size(4 << 30), short: false, dir: None }
    }
}

impl PartName {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What the command of this part is told for a short run.
    fn short(self) -> &'static [&'static str] {
        match self {
            Self::Plugins => &[
                "--runs", "5", "--turns", "2", "--tasks", "3", "--loads", "1", "--swaps", "1", "--many", "3",
            ],
            Self::Peers => &["--calls", "5", "--copies", "1", "--bytes", "1MiB"],
            Self::Compute => &["--points", "3000", "--repeat", "1"],
            Self::Tasks => {
                &["--tasks", "20", "--rounds", "2", "--concurrency", "1,4", "--reference-tasks", "2"]
            }
            Self::Inputs => &["--inputs", "1,10", "--repeat", "1"],
            Self::Runners => &["--runners", "1,3", "--starts", "1"],
            Self::Node => &[
                "--starts",
                "1",
                "--idle-secs",
                "1",
                "--settle-secs",
                "1",
                "--sleepers",
                "3",
                "--sleep-secs",
                "20",
            ],
            Self::Fleet => &["--nodes", "20"],
            Self::Storage => &[
                "--bytes",
                SHORT,
                "--reference-bytes",
                SHORT,
                "--part-sizes",
                "256KiB",
                "--sizes",
                SHORT,
                "--repeat",
                "1",
            ],
        }
    }

    async fn measure(self, options: &Options, report: &mut Report) -> Result<()> {
        let args = if options.short { self.short() } else { &[] };
        match self {
            Self::Plugins => plugins::measure(&parsed(args)?, report).await,
            Self::Peers => peers::measure(&parsed(args)?, report).await,
            Self::Compute => compute::measure(&parsed(args)?, report).await,
            Self::Tasks => tasks::measure(&parsed(args)?, report).await,
            Self::Inputs => inputs::measure(&parsed(args)?, report).await,
            Self::Runners => runners::measure(&parsed(args)?, report).await,
            Self::Node => node::measure(&parsed(args)?, report).await,
            Self::Fleet => fleet::measure(&parsed(args)?, report).await,
            Self::Storage => {
                let mut storage: storage::Options = parsed(args)?;
                storage.at_most(options.largest, options.dir.clone());
                storage::measure(&storage, report).await
            }
        }
    }
}

/// Options as their command takes them from these arguments.
fn parsed<O: clap::Args>(args: &[&str]) -> Result<O> {
    let command = O::augment_args(clap::Command::new("part").no_binary_name(true));
    let matches = command.try_get_matches_from(args).context("reading the arguments of a part")?;
    O::from_arg_matches(&matches).context("reading the arguments of a part")
}

/// Where the files are: `cargo xtask bench` says it.
///
/// # Errors
/// If it did not.
pub(crate) fn files(short: bool) -> Result<Files> {
    let variable = if short { "POSEMESH_BENCH_SHORT_ROOT" } else { "POSEMESH_BENCH_ROOT" };
    let root = std::env::var_os(variable).with_context(|| {
        format!(
            "{variable} is not set: it names the folder for results; start the bench with `cargo xtask bench`"
        )
    })?;
    Ok(Files::below(root.into()))
}

/// Measures part after part; each that is whole replaces its results in the files.
///
/// # Errors
/// If a part can't be measured: the others are, and are written. If a file can't be written.
pub(crate) async fn measure(options: &Options) -> Result<()> {
    let files = files(options.short)?;
    if options.short {
        // Old results would hide a part that is missing.
        let _ = std::fs::remove_file(files.results());
    }
    let mut results = Results::read(&files.results())?;
    let parts = if options.only.is_empty() { PartName::value_variants() } else { &options.only };
    let mut failed = Vec::new();
    for part in parts {
        let name = part.name();
        progress(format_args!("{name}"));
        let mut report = Report::default();
        let circumstances = Circumstances::now(&node_binary())?;
        let measured = part.measure(options, &mut report).await;
        if let Err(error) = measured {
            eprintln!("error: {name}: {error:#}");
            failed.push(name);
            continue;
        }
        let tables = report.into_tables();
        ensure!(tables.iter().all(|table| !table.rows.is_empty()), "a table of `{name}` has no row");
        results.parts.insert(name, Part { circumstances, tables });
        results.write(&files.results())?;
        files.write_document(&results)?;
    }
    if !failed.is_empty() {
        bail!("these parts were not measured, and keep the results that they had: {}", failed.join(", "));
    }
    if options.short && options.only.is_empty() {
        let document = std::fs::read_to_string(files.document()).context("reading the document")?;
        ensure!(
            !document.contains("Not measured yet"),
            "a part leaves a place in the document open:\n{document}"
        );
    }
    eprintln!("wrote {} and {}", files.short(&files.results()), files.short(&files.document()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_options_for_a_whole_and_for_a_short_run() {
        for part in PartName::value_variants() {
            for args in [&[][..], part.short()] {
                let read = match part {
                    PartName::Plugins => parsed::<plugins::Options>(args).map(drop),
                    PartName::Peers => parsed::<peers::Options>(args).map(drop),
                    PartName::Compute => parsed::<compute::Options>(args).map(drop),
                    PartName::Tasks => parsed::<tasks::Options>(args).map(drop),
                    PartName::Inputs => parsed::<inputs::Options>(args).map(drop),
                    PartName::Runners => parsed::<runners::Options>(args).map(drop),
                    PartName::Node => parsed::<node::Options>(args).map(drop),
                    PartName::Fleet => parsed::<fleet::Options>(args).map(drop),
                    PartName::Storage => parsed::<storage::Options>(args).map(drop),
                };
                assert!(read.is_ok(), "{part:?} {args:?}: {read:?}");
            }
        }
    }
}
