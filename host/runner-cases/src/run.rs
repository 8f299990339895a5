//! Runs a runner with files for ports.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use posemesh_files::remove_tree;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::ports::{Artifact, OutputPort as _};
use posemesh_runner_api::reports::Reports;
use posemesh_runner_api::runner::{Runner, RunnerCall};
use posemesh_runner_api::task::Task;
use tempfile::Builder;

use crate::files::{BytesRead, FileInputs, FileOutputs};

/// A task, and the files that it reads and writes.
#[derive(Debug, Clone)]
pub struct FileRun {
    /// The task; its `inputs_cids` are keys of `inputs`.
    pub task: Task,
    /// File of each input, by CID.
    pub inputs: BTreeMap<String, Vec<PathBuf>>,
    /// Existing folder for the artifacts.
    pub out: PathBuf,
    /// Counts what is read of the inputs.
    pub read: BytesRead,
    /// A file that is not there yet, for what the runner prints: `TIME STREAM LINE` each.
    pub log_file: Option<PathBuf>,
}

impl FileRun {
    /// A run whose inputs are not counted and whose output is not kept.
    pub fn new(task: Task, inputs: BTreeMap<String, Vec<PathBuf>>, out: impl Into<PathBuf>) -> Self {
        Self { task, inputs, out: out.into(), read: BytesRead::default(), log_file: None }
    }
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
        inputs: Arc::new(FileInputs::new(run.inputs).counted(run.read)),
        outputs: outputs.clone(),
        reports,
        disk: TaskDisk::new(&work_dir.0),
        log_file: run.log_file,
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
