//! Runs a case, and compares what came of it with what was expected.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::ports::Artifact;
use posemesh_runner_api::reports::{LimitUse, Reports};
use posemesh_runner_api::runner::Runner;
use posemesh_runner_api::task::Task;
use uuid::Uuid;

use crate::case::{Case, Expected, ExpectedFailure, ExpectedRun};
use crate::compare::Comparison;
use crate::run::{FileRun, FileRunError, choose_capability, run};

/// What came of running a case.
#[derive(Debug)]
pub struct Observed {
    /// The artifacts, or the failure.
    pub outcome: Result<Vec<Artifact>, FileRunError>,
    /// What the runner printed, logged and reported: a line each, with its stream.
    pub log: Vec<String>,
    /// What it used of its limits.
    pub usage: Vec<LimitUse>,
    /// How long it took.
    pub took: Duration,
}

/// Runs a case with a runner that has these capabilities; the artifacts go below `out`.
///
/// # Errors
/// When the case does not fit the runner, in words.
pub async fn observe(
    runner: &dyn Runner,
    capabilities: &[String],
    case: &Case,
    out: &Path,
    reports: Reports,
) -> Result<Observed, String> {
    let capability = choose_capability(capabilities, case.task.capability.as_deref())?;
    let mut task = Task::new(Uuid::new_v4(), capability);
    task.meta = case.task.meta.clone();
    task.outputs_prefix = case.task.outputs_prefix.clone();
    task.inputs_cids = case.task.inputs_cids.clone().unwrap_or_else(|| case.inputs.keys().cloned().collect());
    let kept =
        tempfile::tempdir().map_err(|error| format!("creating a folder for what it prints: {error}"))?;
    let log_file = kept.path().join("printed");
    let file_run =
        FileRun { log_file: Some(log_file.clone()), ..FileRun::new(task, case.inputs.clone(), out) };
    let began = Instant::now();
    let outcome = run(runner, file_run, reports.clone()).await;
    let took = began.elapsed();
    // A runner that prints nothing has no such file.
    let printed = tokio::fs::read(&log_file).await.unwrap_or_default();
    let without_time = |line: &str| line.split_once(' ').map_or(line, |(_, rest)| rest).to_owned();
    let log = String::from_utf8_lossy(&printed).lines().map(without_time).collect();
    Ok(Observed { outcome, log, usage: reports.usage(), took })
}

/// Runs a case and compares; the artifacts go below `out`.
///
/// # Errors
/// Every difference between the expected result and the actual one, in words.
pub async fn check(
    runner: &dyn Runner,
    capabilities: &[String],
    case: &Case,
    out: &Path,
    reports: Reports,
) -> Result<(), Vec<String>> {
    let observed = observe(runner, capabilities, case, out, reports).await.map_err(|what| vec![what])?;
    let differences = observed.differences(case, out);
    if differences.is_empty() { Ok(()) } else { Err(differences) }
}

/// The stream of what the host remarks, in the lines of a log.
const HOST_STREAM: &str = "node ";

impl Observed {
    /// What the host has remarked on what the runner did.
    pub fn remarks(&self) -> impl Iterator<Item = &str> {
        self.log.iter().filter_map(|line| line.strip_prefix(HOST_STREAM))
    }

    /// Every difference from what the case expects, in words; `out` has the artifacts.
    pub fn differences(&self, case: &Case, out: &Path) -> Vec<String> {
        let mut differences = match (&case.expected, &self.outcome) {
            (Expected::Failure(expected), Err(FileRunError::Failed(failure))) => {
                compare_failures(expected, failure)
            }
            (Expected::Failure(expected), Ok(_)) => {
                vec![format!("it succeeded; expected a failure of kind {}", expected.kind)]
            }
            (Expected::Artifacts(_), Err(FileRunError::Failed(failure))) => {
                vec![format!("it failed ({}): {}", failure.kind, failure.reason), failure.details.to_string()]
            }
            (_, Err(error @ FileRunError::WorkDir(_))) => vec![error.to_string()],
            (Expected::Artifacts(expected), Ok(artifacts)) => {
                compare_artifacts(case, expected, artifacts, out)
            }
        };
        differences.extend(compare_runs(&case.task.expect, &self.log, &self.usage));
        differences
    }
}

fn compare_runs(expected: &ExpectedRun, log: &[String], usage: &[LimitUse]) -> Vec<String> {
    let missing = expected.log_contains.iter().filter(|text| !log.iter().any(|line| line.contains(*text)));
    let mut differences: Vec<String> = missing
        .map(|text| format!("no line that it printed, logged or reported contains {text:?}"))
        .collect();
    for (name, most) in &expected.at_most {
        match usage.iter().find(|used| used.limit == *name) {
            Some(used) if used.used <= most.0 => {}
            Some(used) => {
                differences.push(format!("it used {} of {name}, expected {} at most", used.used, most.0))
            }
            None => {
                let measured: Vec<&str> = usage.iter().map(|used| used.limit).collect();
                differences.push(format!(
                    "expect.at_most: {name}: nothing is measured by this name; measured are {}",
                    measured.join(", ")
                ));
            }
        }
    }
    differences
}

fn compare_failures(expected: &ExpectedFailure, failure: &RunFailure) -> Vec<String> {
    let mut differences = Vec::new();
    if failure.kind != expected.kind {
        differences.push(format!("it failed with kind {}, expected {}", failure.kind, expected.kind));
    }
    let missing = expected.reason_contains.iter().filter(|text| !failure.reason.contains(*text));
    differences.extend(missing.map(|text| format!("its reason does not contain {text:?}")));
    if !differences.is_empty() {
        differences.push(format!("the reason was: {}", failure.reason));
    }
    differences
}

fn compare_artifacts(
    case: &Case,
    expected: &BTreeMap<String, Option<PathBuf>>,
    artifacts: &[Artifact],
    out: &Path,
) -> Vec<String> {
    let mut differences = Vec::new();
    let produced: Vec<String> =
        artifacts.iter().map(|artifact| path_of(artifact, case.task.outputs_prefix.as_deref())).collect();
    for path in produced.iter().filter(|path| !expected.contains_key(*path)) {
        differences.push(format!("{path}: the artifact was not expected"));
    }
    for (path, wanted) in expected {
        if !produced.contains(path) {
            differences.push(format!("{path}: the artifact was expected and does not exist"));
            continue;
        }
        let comparison = case.task.compare.get(path).unwrap_or(&Comparison::Bytes);
        if let Err(found) = comparison.check(&out.join(path), wanted.as_deref()) {
            differences.extend(found.into_iter().map(|text| format!("{path}: {text}")));
        }
    }
    differences
}

/// The path of an artifact below the folder of artifacts, and below `expected/`: as the runner gave it.
pub(crate) fn path_of(artifact: &Artifact, prefix: Option<&str>) -> String {
    let prefix = prefix.unwrap_or_default().trim_matches('/');
    artifact
        .logical_path
        .strip_prefix(prefix)
        .unwrap_or(&artifact.logical_path)
        .trim_start_matches('/')
        .to_owned()
}
