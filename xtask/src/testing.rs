//! Runs the workspace's tests as `cargo test` would, but several test programs at a time.
//!
//! The suites wait for most of their time: for time-outs, for nodes that stop, for servers that are away. One after the
//! other they take three times as long. Cargo builds them and says where they are ([`programs`]), [`pool`] runs them side
//! by side, each with its output in a file of its own, and [`outcome`] reads from it what is told at the end.

mod arguments;
mod machine;
mod outcome;
mod pool;
mod programs;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::process::Ending;
use crate::project::Project;
use arguments::Arguments;
use machine::cores;
use outcome::Outcome;
use pool::Job;

/// How many programs may fail and are run again.
const MOST_UNSTEADY: usize = 2;
/// How long a program may run: several times what the longest takes on a busy machine. One that takes longer hangs.
const MOST_TIME: Duration = Duration::from_secs(1200);

/// Builds the tests that `args` select, which are arguments of `cargo test`, and runs them. `paths` are variables for
/// every test program.
///
/// # Errors
/// If something does not compile, or a test fails.
pub(crate) fn test(project: &Project, args: &[OsString], paths: &[(&str, PathBuf)]) -> Result<()> {
    let args = Arguments::split(args);
    let mut jobs = Vec::new();
    if !args.doc_tests_alone() {
        jobs.extend(programs::build(project, &args)?);
    }
    if args.only_builds() {
        return Ok(());
    }
    if args.has_doc_tests() {
        jobs.push(programs::doc_tests(project, &args));
    }
    // Those that take long begin first: what is left at the end would run alone.
    jobs.sort_by_key(Job::begins);
    for job in &mut jobs {
        job.set(paths);
        job.limit(MOST_TIME);
    }
    let at_once = cores().max(2);
    let folder = project.target.join("test-output");
    eprintln!(
        "{} test programs, {at_once} at a time; what each prints is shown when it has ended, and is in {} meanwhile",
        jobs.len(),
        project.short(&folder)
    );
    tell(&run(jobs, at_once, &folder)?)
}

/// Runs the programs. What failed beside others is run again, alone: a test that only then passes is told as unsteady, with
/// what it printed, and is to be mended. It fails nobody's change: the machine was busy, or it is a race that the change
/// did not bring. More of them than a few are a fault of the change.
///
/// # Errors
/// If a program can't be run, or its output not be read.
fn run(jobs: Vec<Job>, at_once: usize, folder: &Path) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    let mut failed = Vec::new();
    pool::run(jobs, at_once, folder, |ended| {
        let outcome = Outcome::of(&ended)?;
        show(&outcome);
        outcomes.push(outcome);
        if ended.how != Ending::Success {
            failed.push(ended.job);
        }
        Ok(())
    })?;
    if failed.len() > MOST_UNSTEADY {
        return Ok(outcomes);
    }
    pool::run(failed, 1, &folder.join("again"), |ended| {
        let again = Outcome::of(&ended)?;
        eprintln!("\n   alone: {}", again.line());
        if let Some(first) = outcomes.iter_mut().find(|outcome| outcome.name == again.name) {
            first.unsteady = again.ok;
        }
        Ok(())
    })?;
    Ok(outcomes)
}

/// Prints what a test program printed, unless no test of it was asked for.
fn show(outcome: &Outcome) {
    if outcome.is_empty() {
        return;
    }
    let mut out = io::stdout().lock();
    // What can't be printed is in the file, and in the summary.
    let _ = writeln!(out, "\n   {}\n{}", outcome.line(), outcome.output.trim_end());
    let _ = out.flush();
}

/// Prints how each test program went, and the failures once more.
///
/// # Errors
/// If there are any.
fn tell(outcomes: &[Outcome]) -> Result<()> {
    eprintln!("\n-- tests, as they ended");
    for outcome in outcomes.iter().filter(|outcome| !outcome.is_empty()) {
        eprintln!("   {}", outcome.line());
    }
    let passed: usize = outcomes.iter().map(|outcome| outcome.passed).sum();
    let ignored: usize = outcomes.iter().map(|outcome| outcome.ignored).sum();
    eprintln!("   {passed} passed, {ignored} ignored");
    for outcome in outcomes.iter().filter(|outcome| !outcome.ok) {
        eprintln!("\n-- {}\n{}", outcome.line(), outcome.failures());
    }
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.ok && !outcome.unsteady).collect();
    match failed.len() {
        0 => Ok(()),
        1 => bail!("tests failed in {}", names(&failed)),
        count => bail!("tests failed in {count} programs: {}", names(&failed)),
    }
}

fn names(failed: &[&Outcome]) -> String {
    failed.iter().map(|outcome| outcome.name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::process::Cmd;

    /// A program that passes from its second run on, as a shell script; others pass or fail always.
    fn jobs(folder: &Path, scripts: &[&str]) -> Vec<Job> {
        let job = |(number, script): (usize, &&str)| {
            let mark = folder.join(format!("mark{number}"));
            let second = format!("test -e {0} || {{ touch {0}; echo raced; exit 1; }}", mark.display());
            let script = if *script == "second" { second.as_str() } else { script };
            Job { name: number.to_string(), command: Cmd::new("sh").args(["-c", script]), begins: 0 }
        };
        scripts.iter().enumerate().map(job).collect()
    }

    /// How the programs went, in their order, and whether that is a success.
    fn went(scripts: &[&str]) -> (Vec<String>, bool) {
        let folder = tempfile::tempdir().unwrap();
        let mut outcomes = run(jobs(folder.path(), scripts), 2, &folder.path().join("output")).unwrap();
        outcomes.sort_by(|one, other| one.name.cmp(&other.name));
        let words = outcomes.iter().map(|outcome| outcome.line().split(' ').next().unwrap().to_owned());
        (words.collect(), tell(&outcomes).is_ok())
    }

    #[test]
    fn what_fails_beside_others_and_passes_alone_is_told_as_unsteady() {
        assert_eq!(went(&["true", "second"]), (vec!["ok".to_owned(), "UNSTEADY".to_owned()], true));
    }

    #[test]
    fn what_fails_twice_or_with_many_others_has_failed() {
        assert_eq!(went(&["false", "second"]), (vec!["FAILED".to_owned(), "UNSTEADY".to_owned()], false));
        let (words, passed) = went(&["second", "second", "second"]);
        assert!(!passed && words.iter().all(|word| word == "FAILED"), "{words:?}");
    }
}
