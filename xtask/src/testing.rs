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
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::project::Project;
use arguments::Arguments;
use machine::cores;
use outcome::Outcome;
use pool::Job;

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
    }
    let at_once = cores().max(2);
    let folder = project.target.join("test-output");
    eprintln!(
        "{} test programs, {at_once} at a time; what each prints is shown when it has ended, and is in {} meanwhile",
        jobs.len(),
        project.short(&folder)
    );
    let mut outcomes = Vec::new();
    pool::run(jobs, at_once, &folder, |ended| {
        let outcome = Outcome::of(ended)?;
        show(&outcome);
        outcomes.push(outcome);
        Ok(())
    })?;
    tell(&outcomes)
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
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.ok).collect();
    eprintln!("   {passed} passed, {ignored} ignored");
    for outcome in &failed {
        eprintln!("\n-- {}\n{}", outcome.line(), outcome.failures());
    }
    match failed.len() {
        0 => Ok(()),
        1 => bail!("tests failed in {}", names(&failed)),
        count => bail!("tests failed in {count} programs: {}", names(&failed)),
    }
}

fn names(failed: &[&Outcome]) -> String {
    failed.iter().map(|outcome| outcome.name.as_str()).collect::<Vec<_>>().join(", ")
}
