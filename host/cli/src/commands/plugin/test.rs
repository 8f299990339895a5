//! `plugin test`: a runner's test cases.

mod ended;
mod junit;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use posemesh_plugin_host::registry::Generation;
use posemesh_runner_api::reports::{ReportLimits, Reports};
use posemesh_runner_cases::case::{self, Case};
use posemesh_runner_cases::check::observe;
use posemesh_runner_cases::update::update;
use posemesh_text::escaped;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::ended::Ended;
use crate::output::{out, tell};
use crate::runner_loading::load;
use crate::settings::SettingsArgs;

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The component.
    #[arg(value_name = "FILE")]
    component: PathBuf,
    /// Folders of cases, or single cases.
    #[arg(value_name = "CASES", required = true)]
    cases: Vec<PathBuf>,
    /// Only cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// How many cases run at a time.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    jobs: u64,
    /// Write what each run has shown into its `expected/`; look at the difference before you keep it.
    #[arg(long)]
    update: bool,
    /// Write the results to this file in the XML of JUnit, too.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Keep the artifacts of the cases in this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Runs every case and prints what differs; exit code 1 if a case fails.
///
/// # Errors
/// When there is no case, or the component is refused.
pub(crate) async fn run(args: &TestArgs) -> Result<ExitCode> {
    let mut folders = Vec::new();
    for folder in &args.cases {
        folders.extend(case::find(folder)?);
    }
    if let Some(filter) = &args.filter {
        folders.retain(|folder| case::name_of(folder).contains(filter));
        if folders.is_empty() {
            tell!("no case has {} in its name", escaped(filter));
            return Ok(ExitCode::FAILURE);
        }
    }
    let runner = Arc::new(load(&args.component, &args.settings.environment()?).await?);
    let temporary = tempfile::tempdir().context("creating a folder for the artifacts")?;
    let out = args.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    let began = Instant::now();
    let ended = run_all(&runner, &folders, &out, args).await?;
    let failed = ended.iter().filter(|case| !case.differences.is_empty()).count();
    out!("{}: {} passed, {failed} failed", escaped(&runner.name), ended.len() - failed);
    if let Some(path) = &args.junit {
        let report = junit::report(&runner.name, &ended, began.elapsed());
        tokio::fs::write(path, report).await.with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the cases, so many at a time, and prints each as it ends; they are returned in the order of their folders.
async fn run_all(
    runner: &Arc<Generation>,
    folders: &[PathBuf],
    out: &Path,
    args: &TestArgs,
) -> Result<Vec<Ended>> {
    let permits = Arc::new(Semaphore::new(usize::try_from(args.jobs).unwrap_or(1)));
    let (mut running, mut names) = (JoinSet::new(), BTreeSet::new());
    for (number, folder) in folders.iter().cloned().enumerate() {
        let (runner, permits, update) = (runner.clone(), permits.clone(), args.update);
        let name = case::name_of(&folder);
        // Cases of several folders may have one name.
        let out =
            if names.insert(name.clone()) { out.join(name) } else { out.join(format!("{name}-{number}")) };
        running.spawn(async move {
            let _permit = permits.acquire_owned().await;
            (number, run_one(&runner, &folder, &out, update).await)
        });
    }
    let mut ended = Vec::new();
    while let Some(joined) = running.join_next().await {
        let (number, case) = joined.context("running a case")?;
        show(&runner.name, &case);
        ended.push((number, case));
    }
    ended.sort_by_key(|(number, _)| *number);
    Ok(ended.into_iter().map(|(_, case)| case).collect())
}

/// A case that can't be read is one that fails: the others are run all the same.
async fn run_one(runner: &Generation, folder: &Path, out: &Path, may_update: bool) -> Ended {
    let mut ended = Ended {
        name: case::name_of(folder),
        took: Duration::ZERO,
        differences: Vec::new(),
        updated: Vec::new(),
    };
    let read = {
        let folder = folder.to_owned();
        tokio::task::spawn_blocking(move || Case::read(&folder)).await
    };
    let case = match read {
        Ok(Ok(case)) => case,
        Ok(Err(error)) => {
            ended.differences.push(error.to_string());
            return ended;
        }
        Err(error) => {
            ended.differences.push(error.to_string());
            return ended;
        }
    };
    if let Err(error) = tokio::fs::create_dir_all(out).await {
        ended.differences.push(format!("creating the folder {}: {error}", out.display()));
        return ended;
    }
    let reports = Reports::new(ReportLimits::default());
    let observed = match observe(runner, &runner.description.capabilities, &case, out, reports).await {
        Ok(observed) => observed,
        Err(difference) => {
            ended.differences.push(difference);
            return ended;
        }
    };
    ended.took = observed.took;
    let out = out.to_owned();
    // Artifacts and what they are compared with may be large.
    let compared = tokio::task::spawn_blocking(move || {
        let mut differences = observed.differences(&case, &out);
        let mut updated = Vec::new();
        if may_update && !differences.is_empty() {
            match update(&case, &observed, &out).and_then(|changed| Ok((changed, read_again(&case)?))) {
                // What nothing can be written for, such as what must be in the log, still differs.
                Ok((changed, case)) => (updated, differences) = (changed, observed.differences(&case, &out)),
                Err(error) => differences.push(format!("updating what is expected: {error}")),
            }
        }
        (differences, updated)
    });
    match compared.await {
        Ok(compared) => (ended.differences, ended.updated) = compared,
        Err(error) => ended.differences.push(error.to_string()),
    }
    ended
}

fn read_again(case: &Case) -> std::io::Result<Case> {
    Case::read(&case.dir).map_err(std::io::Error::other)
}

fn show(runner: &str, case: &Ended) {
    let word = if case.differences.is_empty() { "ok" } else { "FAILED" };
    out!("case {}/{} ... {word} ({:.2?})", escaped(runner), escaped(&case.name), case.took);
    case.updated.iter().for_each(|line| out!("    {}", escaped(line)));
    case.differences.iter().for_each(|line| out!("    {}", escaped(line)));
}
