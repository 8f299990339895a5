//! Runs a runner with files for ports, by hand or through a case.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use posemesh_files::remove_tree;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::ports::{Artifact, OutputPort as _};
use posemesh_runner_api::reports::Reports;
use posemesh_runner_api::runner::{Runner, RunnerCall};
use posemesh_runner_api::task::Task;
use tempfile::Builder;
use uuid::Uuid;

use crate::case::{Case, Expected, ExpectedFailure};
use crate::compare::Comparison;
use crate::files::{FileInputs, FileOutputs};

/// A task, and the files that it reads and writes.
#[derive(Debug, Clone)]
pub struct FileRun {
    /// The task; its `inputs_cids` are keys of `inputs`.
    pub task: Task,
    /// File of each input, by CID.
    pub inputs: BTreeMap<String, Vec<PathBuf>>,
    /// Existing folder for the artifacts.
    pub out: PathBuf,
}

/// Why a run on files has no result.
#[derive(Debug, thiserror::Error)]
pub enum FileRunError {
    /// The runner failed.
    #[error("{0}")]
    Failed(#[from] RunFailure),
    /// The private directory of the task could not be created.
    #[error("creating a directory for the run: {0}")]
    WorkDir(std::io::Error),
}

/// The private directory of a run. A runner may leave anything in it, so what `TempDir` does at its end is not enough.
struct WorkDir(PathBuf);

impl WorkDir {
    fn new() -> std::io::Result<Self> {
        Ok(Self(Builder::new().prefix("posemesh-run-").tempdir()?.keep()))
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // What stays lies in the system's directory for temporary files, which is cleaned by others.
        let _ = remove_tree(&self.0);
    }
}

/// Runs a task; returns the artifacts in the order in which the runner finished them.
///
/// # Errors
/// When the runner fails, or its private directory can't be created.
pub async fn run(runner: &dyn Runner, run: FileRun, reports: Reports) -> Result<Vec<Artifact>, FileRunError> {
    let work_dir = WorkDir::new().map_err(FileRunError::WorkDir)?;
    let outputs =
        Arc::new(FileOutputs::new(run.out, run.task.outputs_prefix.clone(), run.task.id.to_string()));
    let call = RunnerCall {
        task: run.task,
        inputs: Arc::new(FileInputs::new(run.inputs)),
        outputs: outputs.clone(),
        reports,
        disk: TaskDisk::new(&work_dir.0),
        log_file: None,
    };
    runner.run(call).await?;
    Ok(outputs.finished())
}

/// Chooses the capability of a run: the named one, or the only one that the runner has.
///
/// ```
/// use posemesh_runner_cases::run::choose_capability;
///
/// let capabilities = ["/example/thin/v1".to_owned(), "/example/count/v1".to_owned()];
/// assert_eq!(choose_capability(&capabilities, Some("/example/count/v1")), Ok("/example/count/v1".to_owned()));
/// assert!(choose_capability(&capabilities, None).is_err());
/// ```
///
/// # Errors
/// When the runner has several and none is named, or does not have the named one; in words.
pub fn choose_capability(capabilities: &[String], named: Option<&str>) -> Result<String, String> {
    let all = capabilities.join(", ");
    match (named, capabilities) {
        (Some(named), _) if capabilities.iter().any(|capability| capability == named) => Ok(named.to_owned()),
        (Some(named), _) => Err(format!("the runner does not have the capability {named}; it has {all}")),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(format!("the runner has several capabilities; name one of {all}")),
    }
}

/// Runs a case with a runner that has these capabilities; the artifacts go below `out`.
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
    let capability = choose_capability(capabilities, case.task.capability.as_deref())
        .map_err(|difference| vec![difference])?;
    let mut task = Task::new(Uuid::new_v4(), capability);
    task.meta = case.task.meta.clone();
    task.outputs_prefix = case.task.outputs_prefix.clone();
    task.inputs_cids = case.task.inputs_cids.clone().unwrap_or_else(|| case.inputs.keys().cloned().collect());
    let file_run = FileRun { task, inputs: case.inputs.clone(), out: out.to_owned() };
    let result = run(runner, file_run, reports).await;
    match (&case.expected, result) {
        (Expected::Failure(expected), Err(FileRunError::Failed(failure))) => {
            compare_failures(expected, &failure)
        }
        (Expected::Failure(expected), Ok(_)) => {
            Err(vec![format!("it succeeded; expected a failure of kind {}", expected.kind)])
        }
        (Expected::Artifacts(_), Err(FileRunError::Failed(failure))) => Err(vec![
            format!("it failed ({}): {}", failure.kind, failure.reason),
            failure.details.to_string(),
        ]),
        (_, Err(error @ FileRunError::WorkDir(_))) => Err(vec![error.to_string()]),
        (Expected::Artifacts(expected), Ok(artifacts)) => compare_artifacts(case, expected, &artifacts, out),
    }
}

fn compare_failures(expected: &ExpectedFailure, failure: &RunFailure) -> Result<(), Vec<String>> {
    let mut differences = Vec::new();
    if failure.kind != expected.kind {
        differences.push(format!("it failed with kind {}, expected {}", failure.kind, expected.kind));
    }
    let missing = expected.reason_contains.iter().filter(|text| !failure.reason.contains(*text));
    differences.extend(missing.map(|text| format!("its reason does not contain {text:?}")));
    if differences.is_empty() {
        return Ok(());
    }
    differences.push(format!("the reason was: {}", failure.reason));
    Err(differences)
}

fn compare_artifacts(
    case: &Case,
    expected: &BTreeMap<String, Option<PathBuf>>,
    artifacts: &[Artifact],
    out: &Path,
) -> Result<(), Vec<String>> {
    let mut differences = Vec::new();
    let prefix = case.task.outputs_prefix.as_deref().unwrap_or_default().trim_matches('/');
    let strip = |path: &str| path.strip_prefix(prefix).unwrap_or(path).trim_start_matches('/').to_owned();
    let produced: Vec<String> = artifacts.iter().map(|artifact| strip(&artifact.logical_path)).collect();
    for path in produced.iter().filter(|path| !expected.contains_key(*path)) {
        differences.push(format!("{path}: the artifact was not expected"));
    }
    for (path, wanted) in expected {
        if !produced.contains(path) {
            differences.push(format!("{path}: the artifact was expected and does not exist"));
            continue;
        }
        let comparison = case.task.compare.get(path).unwrap_or(&Comparison::Bytes);
        if let Err(text) = comparison.check(&out.join(path), wanted.as_deref()) {
            differences.push(format!("{path}: {text}"));
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(differences) }
}
