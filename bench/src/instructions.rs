//! Instructions of the most frequent paths, against a baseline in the repository: a count does not depend on what else a
//! machine does, so a regression shows without noise.
//!
//! Valgrind counts them, for a program that does the same a number of times, and then more often. What the two counts differ
//! by is what it cost each time more: start, loading and warm-up are in both. All threads are counted, since a task of a runner
//! is the work of several; tools that count one function see one thread.

mod baseline;
mod counted;
mod valgrind;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use self::baseline::Baseline;
use self::counted::Case;
use self::valgrind::counted as counted_by;
use crate::fleet::simulation;
use crate::results::machine::processor;

/// What is counted, and what is done with it.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write the counts into the baseline, instead of comparing with it
    #[arg(long)]
    renew: bool,
    /// Do this so often, and print nothing: what Valgrind runs
    #[arg(long, hide = true, num_args = 2, value_names = ["CASE", "TIMES"])]
    run: Vec<String>,
}

/// Counts each case; fails if one costs more, or much less, than the baseline says.
pub(crate) async fn measure(options: &Options) -> Result<()> {
    if let [case, times] = options.run.as_slice() {
        let times = times.parse().with_context(|| format!("{times:?} is no number"))?;
        return counted::run(case, times).await;
    }
    let path = path("POSEMESH_INSTRUCTIONS_BASELINE", "the baseline")?;
    let valgrind = path_of_valgrind()?;
    let mut now = Baseline { processor: processor()?, ..Baseline::default() };
    for case in counted::CASES {
        eprintln!("  counting {}", case.name);
        let count = count(&valgrind, &case)?;
        println!("{}: {count} instructions {}", case.name, case.each);
        now.instructions.insert(case.name.to_owned(), count);
    }
    if options.renew {
        return now.write(&path);
    }
    let baseline = Baseline::read(&path)?;
    let problems = baseline.compared_with(&now);
    if baseline.processor != now.processor {
        println!(
            "The baseline was counted on another processor ({}), so this only tells: {}",
            baseline.processor,
            problems.join("; ")
        );
        return Ok(());
    }
    if !problems.is_empty() {
        bail!(
            "{}\n  what helps: find what costs more (`valgrind --tool=callgrind` says where), or, if that is as it should be, \
             renew the baseline with `cargo xtask bench instructions --renew` and say why in the commit",
            problems.join("\n")
        );
    }
    println!("No count is more than {} % away from the baseline.", baseline::TOLERANCE_PERCENT);
    Ok(())
}

/// Instructions of doing it once.
fn count(valgrind: &Path, case: &Case) -> Result<u64> {
    let [few, many] = case.times;
    let (one, other) = (total(valgrind, case, few)?, total(valgrind, case, many)?);
    let more = other.instructions.checked_sub(one.instructions);
    let more = more.with_context(|| format!("{}: {many} times cost less than {few} times", case.name))?;
    let times = other.done.saturating_sub(one.done);
    ensure!(times > 0, "{}: nothing was done more often", case.name);
    Ok(more / times)
}

/// What a whole run cost, and how often it did what is counted.
struct Total {
    instructions: u64,
    done: u64,
}

fn total(valgrind: &Path, case: &Case, times: u64) -> Result<Total> {
    let text = times.to_string();
    if !case.is_simulated {
        let program = std::env::current_exe().context("finding this program")?;
        let counted = counted_by(valgrind, &program, &["instructions", "--run", case.name, &text])?;
        return Ok(Total { instructions: counted.instructions, done: times });
    }
    let counted = counted_by(valgrind, &simulation()?, &["--steady", &text])?;
    let done = counted.printed.parse();
    let done =
        done.with_context(|| format!("`posemesh-simulate` printed {:?} and no number", counted.printed))?;
    Ok(Total { instructions: counted.instructions, done })
}

fn path_of_valgrind() -> Result<PathBuf> {
    path("POSEMESH_VALGRIND", "valgrind")
}

fn path(variable: &str, what: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    path.with_context(|| {
        format!("{variable} is not set: it says where {what} is; start the bench with `cargo xtask bench`")
    })
}
