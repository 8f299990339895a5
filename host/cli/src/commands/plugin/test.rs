//! `plugin test`: a runner's test cases.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Args;
use posemesh_runner_api::reports::{ReportLimits, Reports};
use posemesh_runner_cases::case::{self, Case};
use posemesh_runner_cases::run::check;
use posemesh_text::escaped;

use crate::output::out;
use crate::runner_loading::load;

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The component.
    #[arg(value_name = "FILE")]
    component: PathBuf,
    /// Folders of cases, or single cases.
    #[arg(value_name = "CASES", required = true)]
    cases: Vec<PathBuf>,
    /// Keep the artifacts of the cases in this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Runs every case and prints what differs; exit code 1 if a case fails.
///
/// # Errors
/// When a case can't be read, or the component is refused.
pub(crate) async fn run(args: &TestArgs) -> Result<ExitCode> {
    let mut cases: Vec<Case> = Vec::new();
    for folder in &args.cases {
        cases.extend(case::find(folder)?);
    }
    let runner = load(&args.component).await?;
    let temporary = tempfile::tempdir().context("creating a folder for the artifacts")?;
    let out = args.keep.as_deref().unwrap_or(temporary.path());
    let mut failed = 0;
    for case in &cases {
        let dir = out.join(&case.name);
        std::fs::create_dir_all(&dir).with_context(|| format!("creating the folder {}", dir.display()))?;
        let started = Instant::now();
        let reports = Reports::new(ReportLimits::default());
        let result = check(&runner, &runner.description.capabilities, case, &dir, reports).await;
        let word = if result.is_ok() { "ok" } else { "FAILED" };
        out!("case {}/{} ... {word} ({:.2?})", escaped(&runner.name), escaped(&case.name), started.elapsed());
        if let Err(differences) = result {
            failed += 1;
            differences.iter().for_each(|line| out!("    {}", escaped(line)));
        }
    }
    out!("{}: {} passed, {failed} failed", escaped(&runner.name), cases.len() - failed);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
