//! Runs test cases with a runner and shows how each ended: for `plugin test` and `plugin watch`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use posemesh_plugin_host::registry::Generation;
use posemesh_runner_api::reports::{ReportLimits, Reports};
use posemesh_runner_cases::case::{self, Case};
use posemesh_runner_cases::check::observe;
use posemesh_runner_cases::update::update;
use posemesh_text::escaped;
use tokio::task::JoinSet;

use crate::output::out;

/// How cases are run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HowToRun {
    /// How many at a time.
    pub(crate) jobs: usize,
    /// Whether what each run has shown is written into its `expected/`.
    pub(crate) update: bool,
}

/// What came of one case.
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) took: Duration,
    /// What was not as expected; a case without any has passed.
    pub(crate) differences: Vec<String>,
    /// What was written to `expected/` and removed from it.
    pub(crate) updated: Vec<String>,
    /// What the host has remarked on what the runner did, such as an artifact that it never finished.
    pub(crate) remarks: Vec<String>,
}

/// Runs the cases in these folders, prints each, and returns them, in the order of the folders. Dropping the future ends the
/// runs.
///
/// # Errors
/// When a run panics.
pub(crate) async fn run_all(
    runner: &Arc<Generation>,
    folders: &[PathBuf],
    out: &Path,
    how: HowToRun,
) -> Result<Vec<Ended>> {
    let mut names = BTreeSet::new();
    let mut left = folders.iter().cloned().enumerate();
    let mut running = JoinSet::new();
    let (mut waiting, mut ended) = (BTreeMap::new(), Vec::new());
    loop {
        // Begun in their order, whatever the threads do.
        while running.len() < how.jobs.max(1)
            && let Some((number, folder)) = left.next()
        {
            let (runner, name) = (runner.clone(), case::name_of(&folder));
            // Cases of several folders may have one name.
            let is_first = names.insert(name.clone());
            let out = out.join(if is_first { name } else { format!("{name}-{number}") });
            running.spawn(async move { (number, run_one(&runner, &folder, &out, how.update).await) });
        }
        let Some(joined) = running.join_next().await else { return Ok(ended) };
        let (number, case) = joined.context("running a case")?;
        waiting.insert(number, case);
        // And shown in their order: of several that run at a time, a quick one waits for those before it.
        while let Some(case) = waiting.remove(&ended.len()) {
            show(&runner.name, &case);
            ended.push(case);
        }
    }
}

/// Prints how many have passed and failed; the number of the latter.
pub(crate) fn sum_up(runner: &str, ended: &[Ended]) -> usize {
    let failed = ended.iter().filter(|case| !case.differences.is_empty()).count();
    out!("{}: {} passed, {failed} failed", escaped(runner), ended.len() - failed);
    failed
}

/// A case that can't be read is one that fails: the others are run all the same.
async fn run_one(runner: &Generation, folder: &Path, out: &Path, may_update: bool) -> Ended {
    let mut ended = Ended {
        name: case::name_of(folder),
        took: Duration::ZERO,
        differences: Vec::new(),
        updated: Vec::new(),
        remarks: Vec::new(),
    };
    let read = {
        let folder = folder.to_owned();
        let read = if may_update { Case::read_to_update } else { Case::read };
        tokio::task::spawn_blocking(move || read(&folder)).await
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
    ended.remarks = observed.remarks().map(str::to_owned).collect();
    let out = out.to_owned();
    // Artifacts and what they are compared with may be large.
    let compared = tokio::task::spawn_blocking(move || {
        let mut differences = observed.differences(&case, &out);
        let mut updated = Vec::new();
        // A new case expects nothing yet, which is no artifacts only once it says so.
        if may_update && (!differences.is_empty() || !case.dir.join("expected").is_dir()) {
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
    case.remarks.iter().for_each(|line| out!("    warning: {}", escaped(line)));
    case.updated.iter().for_each(|line| out!("    {}", escaped(line)));
    case.differences.iter().for_each(|line| out!("    {}", escaped(line)));
}
