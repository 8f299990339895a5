//! Test cases as they are on disk: `task.json`, `inputs/` and `expected/`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use posemesh_files::open_regular;
use posemesh_runner_api::failure::FailureKind;
use posemesh_runner_api::json_text::JsonText;
use posemesh_text::{ByteSize, TimeSpan};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::compare::Comparison;

/// The largest JSON file of a case, in bytes.
const MAX_CASE: u64 = 16 << 20;

/// A test case that was read from its folder.
#[derive(Debug, Clone)]
pub struct Case {
    /// Name of the folder.
    pub name: String,
    /// The folder.
    pub dir: PathBuf,
    /// Contents of `task.json`.
    pub task: CaseTask,
    /// Files of each input, by CID: one for each part.
    pub inputs: BTreeMap<String, Vec<PathBuf>>,
    /// The result that the runner must have.
    pub expected: Expected,
}

/// Contents of `task.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseTask {
    /// Capability of the task; the runner's only one if absent.
    pub capability: Option<String>,
    /// Parameters of the task; they reach the runner as they are written here.
    #[serde(default)]
    pub meta: JsonText,
    /// The inputs, by file name in `inputs/` or key of `files`; if absent, all of them in the order of names.
    pub inputs_cids: Option<Vec<String>>,
    /// Prefix of the paths of artifacts.
    pub outputs_prefix: Option<String>,
    /// Inputs outside of the case or of several parts: CID to path or list of paths, relative to the case.
    #[serde(default)]
    pub files: BTreeMap<String, CaseFiles>,
    /// How each artifact is compared, by path.
    #[serde(default)]
    pub compare: BTreeMap<String, Comparison>,
    /// What else is expected of the run.
    #[serde(default)]
    pub expect: ExpectedRun,
}

/// What is expected of a run beside its result: `expect` in `task.json`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedRun {
    /// Texts that what the runner prints, logs and reports must contain, each in one line.
    #[serde(default)]
    pub log_contains: Vec<String>,
    /// The most that the run may use, by the name of the limit: `{"memory_bytes": "64MiB"}`.
    #[serde(default)]
    pub at_most: BTreeMap<String, Amount>,
}

/// A number, or a text with a unit (`64MiB`, `10s`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "NumberOrText")]
pub struct Amount(pub u64);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a number, or a text such as \"64MiB\" or \"10s\"")]
enum NumberOrText {
    Number(u64),
    Text(String),
}

impl TryFrom<NumberOrText> for Amount {
    type Error = String;

    fn try_from(amount: NumberOrText) -> Result<Self, String> {
        match amount {
            NumberOrText::Number(number) => Ok(Self(number)),
            NumberOrText::Text(text) => text
                .parse()
                .map(|ByteSize(bytes)| Self(bytes))
                .or_else(|_| text.parse().map(|TimeSpan(millis)| Self(millis)))
                .map_err(|_| format!("{text:?} is no amount such as \"64MiB\" or \"10s\"")),
        }
    }
}

/// The files of an input: one, or one for each part.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a path, or a list of paths")]
pub enum CaseFiles {
    /// An input of one part.
    One(PathBuf),
    /// The parts of an input, in order.
    Parts(Vec<PathBuf>),
}

impl CaseFiles {
    fn paths(&self) -> &[PathBuf] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Parts(paths) => paths,
        }
    }
}

/// The result that a case expects.
#[derive(Debug, Clone)]
pub enum Expected {
    /// Exactly these artifacts, by path, each with the file that it is compared with.
    Artifacts(BTreeMap<String, Option<PathBuf>>),
    /// A failure of the run.
    Failure(ExpectedFailure),
}

/// Contents of `failure.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedFailure {
    /// Kind that the failure must have.
    pub kind: FailureKind,
    /// Texts that the reason must contain.
    #[serde(default)]
    pub reason_contains: Vec<String>,
}

/// Why a case can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {what}")]
pub struct CaseError {
    /// The file or folder at fault.
    pub path: PathBuf,
    /// What is wrong with it, in words.
    pub what: String,
}

fn case_error(path: &Path, what: impl ToString) -> CaseError {
    CaseError { path: path.to_owned(), what: what.to_string() }
}

/// The folders of the cases below a folder, in the order of their names; the folder may be a case itself. None is read yet:
/// one that can't be read must not keep the others from being run.
///
/// # Errors
/// When there is no case, or the folder can't be read.
pub fn find(dir: &Path) -> Result<Vec<PathBuf>, CaseError> {
    if dir.join("task.json").is_file() {
        return Ok(vec![dir.to_owned()]);
    }
    let mut folders = BTreeSet::new();
    for entry in std::fs::read_dir(dir).map_err(|error| case_error(dir, error))? {
        let path = entry.map_err(|error| case_error(dir, error))?.path();
        if path.is_dir() {
            folders.insert(path);
        }
    }
    if folders.is_empty() {
        return Err(case_error(dir, "there is no test case here: a case is a folder with a task.json"));
    }
    Ok(folders.into_iter().collect())
}

/// The name of the case in a folder.
pub fn name_of(dir: &Path) -> String {
    dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

impl Case {
    /// Reads the case in a folder.
    ///
    /// # Errors
    /// When a file is missing, can't be read, or is no valid JSON of its kind, or when nothing is expected.
    pub fn read(dir: &Path) -> Result<Self, CaseError> {
        let case = Self::read_to_update(dir)?;
        match &case.expected {
            Expected::Artifacts(artifacts) if artifacts.is_empty() && !dir.join("expected").is_dir() => {
                Err(case_error(
                    dir,
                    "it expects nothing: put the artifacts or a failure.json into expected/, or let `plugin test --update` \
                     write what a run shows",
                ))
            }
            _ => Ok(case),
        }
    }

    /// Reads the case in a folder, which need not expect anything yet: [`update`](crate::update::update) writes that.
    ///
    /// # Errors
    /// When a file is missing, can't be read, or is no valid JSON of its kind.
    pub fn read_to_update(dir: &Path) -> Result<Self, CaseError> {
        let task: CaseTask = json(&own(dir.join("task.json"))?)?;
        let found = files_below(&own(dir.join("inputs"))?)?;
        let mut inputs: BTreeMap<String, Vec<PathBuf>> =
            found.into_iter().map(|(cid, path)| (cid, vec![path])).collect();
        for (cid, files) in &task.files {
            let wrong = |what: String| case_error(&dir.join("task.json"), format!("files: {cid}: {what}"));
            let paths: Vec<PathBuf> = files.paths().iter().map(|path| dir.join(path)).collect();
            if let Some(missing) = paths.iter().find(|path| !path.is_file()) {
                return Err(wrong(format!("there is no file {}", missing.display())));
            }
            if paths.is_empty() {
                return Err(wrong("an input has one part at least".to_owned()));
            }
            inputs.insert(cid.clone(), paths);
        }
        let expected_dir = own(dir.join("expected"))?;
        let failure = own(expected_dir.join("failure.json"))?;
        let expected = if failure.is_file() {
            Expected::Failure(json(&failure)?)
        } else {
            let mut artifacts: BTreeMap<String, Option<PathBuf>> =
                files_below(&expected_dir)?.into_iter().map(|(name, path)| (name, Some(path))).collect();
            for path in task.compare.keys() {
                artifacts.entry(path.clone()).or_insert(None);
            }
            Expected::Artifacts(artifacts)
        };
        Ok(Self { name: name_of(dir), dir: dir.to_owned(), task, inputs, expected })
    }
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, CaseError> {
    let mut text = String::new();
    let file = open_regular(path).map_err(|error| case_error(path, error))?;
    // One byte more than allowed is enough to tell.
    let bytes = file.take(MAX_CASE + 1).read_to_string(&mut text).map_err(|error| case_error(path, error))?;
    if bytes as u64 > MAX_CASE {
        return Err(case_error(path, format!("it has more than {MAX_CASE} bytes")));
    }
    serde_json::from_str(&text).map_err(|error| case_error(path, error))
}

/// The path, unless it is a link: a case is what lies in its folder, whoever has written it, and what it reads from elsewhere it
/// names in `files`.
fn own(path: PathBuf) -> Result<PathBuf, CaseError> {
    match path.symlink_metadata() {
        Ok(found) if found.is_symlink() => Err(case_error(
            &path,
            "it is a link, and a case is read from its own folder alone; put the file here, or name it in `files` of task.json",
        )),
        _ => Ok(path),
    }
}

/// The files below a folder with their relative paths; none if there is no such folder. Ignores `.gitkeep`,
/// which keeps an empty folder in version control. Links are refused.
fn files_below(dir: &Path) -> Result<Vec<(String, PathBuf)>, CaseError> {
    let mut files = Vec::new();
    let mut folders = vec![(String::new(), dir.to_owned())];
    while let Some((prefix, folder)) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && prefix.is_empty() => break,
            Err(error) => return Err(case_error(&folder, error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| case_error(&folder, error))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let path = own(entry.path())?;
            if path.is_dir() {
                folders.push((format!("{name}/"), path));
            } else if !name.ends_with(".gitkeep") {
                files.push((name, path));
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_no_case_out_of_its_folder() {
        use std::os::unix::fs::symlink;

        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(elsewhere.path().join("secret"), "{}").unwrap();
        for link in
            ["inputs/a", "inputs/deep/a", "inputs", "expected/a.json", "expected/failure.json", "task.json"]
        {
            let case = dir.path().join(link.replace('/', "-"));
            for folder in ["inputs/deep", "expected"] {
                std::fs::create_dir_all(case.join(folder)).unwrap();
            }
            std::fs::write(case.join("task.json"), "{}").unwrap();
            std::fs::write(case.join("inputs/plain"), "").unwrap();
            Case::read(&case).unwrap();
            let (at, target) = (case.join(link), elsewhere.path().join("secret"));
            match link {
                "inputs" => {
                    std::fs::remove_dir_all(&at).unwrap();
                    symlink(elsewhere.path(), &at).unwrap();
                }
                _ => {
                    let _ = std::fs::remove_file(&at);
                    symlink(target, &at).unwrap();
                }
            }
            let error = Case::read(&case).unwrap_err().to_string();
            assert!(error.contains("it is a link") && error.contains(link), "{link}: {error}");
        }
    }

    #[test]
    fn an_input_has_a_file_or_one_for_each_part() {
        let dir = tempfile::tempdir().unwrap();
        let task = |files: &str| {
            std::fs::write(dir.path().join("task.json"), format!(r#"{{"files": {files}}}"#)).unwrap();
            Case::read(dir.path())
        };
        std::fs::create_dir(dir.path().join("expected")).unwrap();
        for name in ["a.ply", "b.json"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        let case = task(r#"{"one": "a.ply", "scan": ["a.ply", "b.json"]}"#).unwrap();
        let path = |name: &str| dir.path().join(name);
        assert_eq!(case.inputs.get("one"), Some(&vec![path("a.ply")]));
        assert_eq!(case.inputs.get("scan"), Some(&vec![path("a.ply"), path("b.json")]));
        for (files, wanted) in [
            (r#"{"scan": ["a.ply", "c"]}"#, "there is no file"),
            (r#"{"scan": []}"#, "one part at least"),
            (r#"{"scan": 7}"#, "a path, or a list of paths"),
        ] {
            let error = task(files).unwrap_err().to_string();
            assert!(error.contains(wanted), "{files}: {error}");
        }
    }
}
