//! Runs a runner by hand or through a case: the real sandbox, ports that are files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::compare::Comparison;
use super::{Case, Expected, ExpectedFailure};
use crate::files::{FileInputs, FileOutputs};
use posemesh_plugin_host::generation::Generation;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::ports::{Artifact, OutputPort as _};
use posemesh_runner_api::reports::Reports;
use posemesh_runner_api::runner::{Runner, RunnerCall};
use posemesh_runner_api::task::Task;

/// One run with files for ports.
#[derive(Debug, Clone)]
pub struct FileRun {
    /// The task; its `inputs_cids` are keys of `inputs`.
    pub task: Task,
    /// Inputs by CID.
    pub inputs: BTreeMap<String, PathBuf>,
    /// Where artifacts go; it is there.
    pub out: PathBuf,
}

/// Why a run by hand has no artifacts.
#[derive(Debug, thiserror::Error)]
pub enum FileRunError {
    /// The runner failed.
    #[error("{0}")]
    Failed(#[from] RunFailure),
    /// The sandbox could not be made.
    #[error("making a directory for the run: {0}")]
    WorkDir(std::io::Error),
}

/// Runs a task; the artifacts in the order in which they were finished.
///
/// # Errors
/// When the runner fails, or a directory can't be made.
pub async fn run(runner: &dyn Runner, run: FileRun, reports: Reports) -> Result<Vec<Artifact>, FileRunError> {
    let work_dir =
        tempfile::Builder::new().prefix("posemesh-run-").tempdir().map_err(FileRunError::WorkDir)?;
    let outputs =
        Arc::new(FileOutputs::new(run.out, run.task.outputs_prefix.clone(), run.task.id.to_string()));
    let call = RunnerCall {
        task: run.task,
        inputs: Arc::new(FileInputs::new(run.inputs)),
        outputs: outputs.clone(),
        reports,
        disk: TaskDisk::new(work_dir.path()),
        log_file: None,
    };
    runner.run(call).await?;
    Ok(outputs.finished())
}

/// The capability of a run: the one that is named, or the runner's only one.
///
/// # Errors
/// When it serves several and none is named, or not the one that is.
pub fn capability(runner: &Generation, named: Option<&str>) -> Result<String, String> {
    let all = &runner.description.capabilities;
    match (named, all.as_slice()) {
        (Some(named), _) if all.iter().any(|capability| capability == named) => Ok(named.to_owned()),
        (Some(named), _) => Err(format!("it does not serve {named}; it serves {}", all.join(", "))),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(format!("it serves several capabilities; name one of {}", all.join(", "))),
    }
}

/// Runs a case; artifacts go below `out`.
///
/// # Errors
/// Every difference between what was expected and what came, in words.
pub async fn check(
    runner: &Generation,
    case: &Case,
    out: &Path,
    reports: Reports,
) -> Result<(), Vec<String>> {
    let one = |text: String| vec![text];
    let capability = capability(runner, case.task.capability.as_deref()).map_err(one)?;
    let mut task = Task::new(Uuid::new_v4(), capability);
    task.meta = case.task.meta.clone();
    task.outputs_prefix = case.task.outputs_prefix.clone();
    task.inputs_cids = case.task.inputs_cids.clone().unwrap_or_else(|| case.inputs.keys().cloned().collect());
    let file_run = FileRun { task, inputs: case.inputs.clone(), out: out.to_owned() };
    let result = run(runner, file_run, reports).await;
    match (&case.expected, result) {
        (Expected::Failure(expected), Err(FileRunError::Failed(failure))) => same_failure(expected, &failure),
        (Expected::Failure(expected), Ok(_)) => {
            Err(vec![format!("it succeeded; expected a failure of kind {}", expected.kind)])
        }
        (Expected::Artifacts(_), Err(FileRunError::Failed(failure))) => Err(vec![
            format!("it failed ({}): {}", failure.kind, failure.reason),
            failure.details.to_string(),
        ]),
        (_, Err(error @ FileRunError::WorkDir(_))) => Err(vec![error.to_string()]),
        (Expected::Artifacts(expected), Ok(artifacts)) => same_artifacts(case, expected, &artifacts, out),
    }
}

fn same_failure(expected: &ExpectedFailure, failure: &RunFailure) -> Result<(), Vec<String>> {
    let mut wrong = Vec::new();
    if failure.kind != expected.kind {
        wrong.push(format!("it failed with kind {}, expected {}", failure.kind, expected.kind));
    }
    let missing = expected.reason_contains.iter().filter(|text| !failure.reason.contains(*text));
    wrong.extend(missing.map(|text| format!("its reason lacks {text:?}")));
    if wrong.is_empty() {
        return Ok(());
    }
    wrong.push(format!("the reason was: {}", failure.reason));
    Err(wrong)
}

fn same_artifacts(
    case: &Case,
    expected: &BTreeMap<String, Option<PathBuf>>,
    artifacts: &[Artifact],
    out: &Path,
) -> Result<(), Vec<String>> {
    let mut wrong = Vec::new();
    let prefix = case.task.outputs_prefix.as_deref().unwrap_or_default().trim_matches('/');
    let strip = |path: &str| path.strip_prefix(prefix).unwrap_or(path).trim_start_matches('/').to_owned();
    let produced: Vec<String> = artifacts.iter().map(|artifact| strip(&artifact.logical_path)).collect();
    for path in produced.iter().filter(|path| !expected.contains_key(*path)) {
        wrong.push(format!("{path}: it was not expected"));
    }
    for (path, wanted) in expected {
        if !produced.contains(path) {
            wrong.push(format!("{path}: it was expected and is not there"));
            continue;
        }
        let comparison = case.task.compare.get(path).unwrap_or(&Comparison::Bytes);
        if let Err(text) = comparison.check(&out.join(path), wanted.as_deref()) {
            wrong.push(format!("{path}: {text}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}
