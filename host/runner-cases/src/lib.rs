//! Test cases of a runner: folders of `task.json`, `inputs/` and `expected/`, run in the real sandbox with
//! file-backed ports and no network.
//!
//! ```text
//! cases/truncated/
//!   task.json      {"meta": {"voxel_size": 0.1}, "inputs_cids": ["scan.ply"]}
//!   inputs/        scan.ply
//!   expected/      the artifacts, or failure.json: {"kind": "invalid_input", "reason_contains": ["byte 120"]}
//! ```
//!
//! `task.json` may also give `capability` (needed if the runner has several), `outputs_prefix`, `files`
//! (inputs that lie elsewhere: CID to path, relative to the case) and `compare` (how an artifact is
//! compared, see [`compare::Comparison`]; bytes when nothing is said).

pub mod compare;
pub mod files;
pub mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use posemesh_runner_api::failure::FailureKind;
use serde::Deserialize;
use serde_json::Value;

use compare::Comparison;

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// The folder's name.
    pub name: String,
    /// The folder.
    pub dir: PathBuf,
    /// What the runner is given.
    pub task: CaseTask,
    /// Inputs by CID.
    pub inputs: BTreeMap<String, PathBuf>,
    /// What should come out.
    pub expected: Expected,
}

/// `task.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseTask {
    /// The capability; the runner's only one if absent.
    pub capability: Option<String>,
    /// The parameters.
    #[serde(default)]
    pub meta: Value,
    /// The inputs, by file name in `inputs/` or key of `files`; all of them by name if absent.
    pub inputs_cids: Option<Vec<String>>,
    /// Put before artifact paths.
    pub outputs_prefix: Option<String>,
    /// Inputs that lie elsewhere.
    #[serde(default)]
    pub files: BTreeMap<String, PathBuf>,
    /// How artifacts are compared, by path.
    #[serde(default)]
    pub compare: BTreeMap<String, Comparison>,
}

/// What a case expects.
#[derive(Debug, Clone)]
pub enum Expected {
    /// These artifacts, by path, and no others.
    Artifacts(BTreeMap<String, Option<PathBuf>>),
    /// A failure.
    Failure(ExpectedFailure),
}

/// `failure.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedFailure {
    /// The kind of failure.
    pub kind: FailureKind,
    /// Texts that the reason has.
    #[serde(default)]
    pub reason_contains: Vec<String>,
}

/// Why a case can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {what}")]
pub struct CaseError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

fn wrong(path: &Path, what: impl ToString) -> CaseError {
    CaseError { path: path.to_owned(), what: what.to_string() }
}

/// The cases below a folder, by name; the folder may be a case itself.
///
/// # Errors
/// When there is none, or one is broken.
pub fn find(dir: &Path) -> Result<Vec<Case>, CaseError> {
    if dir.join("task.json").is_file() {
        return Ok(vec![Case::read(dir)?]);
    }
    let mut folders = BTreeSet::new();
    for entry in std::fs::read_dir(dir).map_err(|error| wrong(dir, error))? {
        let path = entry.map_err(|error| wrong(dir, error))?.path();
        if path.is_dir() {
            folders.insert(path);
        }
    }
    if folders.is_empty() {
        return Err(wrong(dir, "there is no test case here: a case is a folder with a task.json"));
    }
    folders.iter().map(|folder| Case::read(folder)).collect()
}

impl Case {
    /// Reads one case.
    ///
    /// # Errors
    /// When a file is missing or broken.
    pub fn read(dir: &Path) -> Result<Self, CaseError> {
        let task: CaseTask = json(&dir.join("task.json"))?;
        let mut inputs: BTreeMap<String, PathBuf> = files_below(&dir.join("inputs"))?.into_iter().collect();
        for (cid, path) in &task.files {
            let path = dir.join(path);
            if !path.is_file() {
                return Err(wrong(
                    &dir.join("task.json"),
                    format!("files: {cid}: no file {}", path.display()),
                ));
            }
            inputs.insert(cid.clone(), path);
        }
        let expected_dir = dir.join("expected");
        let failure = expected_dir.join("failure.json");
        let expected = if failure.is_file() {
            Expected::Failure(json(&failure)?)
        } else {
            let mut artifacts: BTreeMap<String, Option<PathBuf>> =
                files_below(&expected_dir)?.into_iter().map(|(name, path)| (name, Some(path))).collect();
            for path in task.compare.keys() {
                artifacts.entry(path.clone()).or_insert(None);
            }
            if artifacts.is_empty() && !expected_dir.is_dir() {
                return Err(wrong(dir, "nothing is expected: expected/ takes artifacts or a failure.json"));
            }
            Expected::Artifacts(artifacts)
        };
        let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { name, dir: dir.to_owned(), task, inputs, expected })
    }
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, CaseError> {
    let text = std::fs::read_to_string(path).map_err(|error| wrong(path, error))?;
    serde_json::from_str(&text).map_err(|error| wrong(path, error))
}

/// The files below a folder with their relative paths; an absent folder has none. Files that only keep
/// an empty folder in version control are passed over.
fn files_below(dir: &Path) -> Result<Vec<(String, PathBuf)>, CaseError> {
    let mut files = Vec::new();
    let mut folders = vec![(String::new(), dir.to_owned())];
    while let Some((prefix, folder)) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && prefix.is_empty() => break,
            Err(error) => return Err(wrong(&folder, error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| wrong(&folder, error))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                folders.push((format!("{name}/"), entry.path()));
            } else if !name.ends_with(".gitkeep") {
                files.push((name, entry.path()));
            }
        }
    }
    files.sort();
    Ok(files)
}
