//! Writes what a run has shown as what is expected from now on.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use posemesh_text::one_line;
use serde_json::json;

use crate::case::{Case, Expected};
use crate::check::{Observed, path_of};
use crate::compare::Comparison;
use crate::run::FileRunError;

/// The file of an expected failure.
const FAILURE: &str = "failure.json";
/// How much of a path an error shows.
const SHOWN_BYTES: usize = 400;

/// Makes `expected/` of a case what the run has shown; `out` has the artifacts. Returns what was written and removed, by its path
/// in the case.
///
/// # Errors
/// When a file can't be written, or the run shows nothing that can be expected: it did not begin.
pub fn update(case: &Case, observed: &Observed, out: &Path) -> io::Result<Vec<String>> {
    let folder = case.dir.join("expected");
    plain_folders(&case.dir, Path::new("expected"))?;
    let mut changed = Vec::new();
    let mut kept = BTreeSet::new();
    match &observed.outcome {
        Err(FileRunError::WorkDir(error)) => return Err(io::Error::other(error.to_string())),
        Err(FileRunError::Failed(failure)) => {
            kept.insert(FAILURE.to_owned());
            let same = matches!(&case.expected, Expected::Failure(expected)
                if expected.kind == failure.kind
                    && expected.reason_contains.iter().all(|text| failure.reason.contains(text)));
            // What an author has chosen of a reason says more than the whole of it.
            if !same {
                let failure = json!({"kind": failure.kind, "reason_contains": [failure.reason]});
                write(&folder, FAILURE, format!("{failure:#}\n").as_bytes(), &mut changed)?;
            }
        }
        Ok(artifacts) => {
            fs::create_dir_all(&folder)?;
            for artifact in artifacts {
                let path = path_of(artifact, case.task.outputs_prefix.as_deref());
                kept.insert(path.clone());
                let (actual, comparison) = (out.join(&path), case.task.compare.get(&path));
                let expected = plain_file(&folder, &path)?;
                let fits = comparison.unwrap_or(&Comparison::Bytes).check(&actual, Some(&expected)).is_ok();
                // One that only has to exist needs no file, and one that fits by its own rule stays as it is.
                if fits || comparison == Some(&Comparison::Exists) {
                    continue;
                }
                write(&folder, &path, &fs::read(&actual)?, &mut changed)?;
            }
        }
    }
    let stale: Vec<String> = match &case.expected {
        Expected::Failure(_) => vec![FAILURE.to_owned()],
        Expected::Artifacts(expected) => {
            expected.iter().filter(|(_, file)| file.is_some()).map(|(path, _)| path.clone()).collect()
        }
    };
    for path in stale.iter().filter(|path| !kept.contains(*path)) {
        fs::remove_file(plain_file(&folder, path)?)?;
        changed.push(format!("removed expected/{path}"));
    }
    Ok(changed)
}

fn write(folder: &Path, path: &str, bytes: &[u8], changed: &mut Vec<String>) -> io::Result<()> {
    let file = plain_file(folder, path)?;
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&file, bytes)?;
    changed.push(format!("wrote expected/{path}"));
    Ok(())
}

/// A file below a folder. Neither it nor a folder on the way is a link or anything else that is no file: what is written there
/// must be of the case, and a FIFO would wait for ever.
fn plain_file(folder: &Path, path: &str) -> io::Result<PathBuf> {
    let path = Path::new(path);
    plain_folders(folder, path.parent().unwrap_or(Path::new("")))?;
    let file = folder.join(path);
    match fs::symlink_metadata(&file) {
        Ok(found) if !found.is_file() => Err(odd(&file, "no regular file")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(file),
    }
}

/// Sees to it that whatever is there of a path below a folder are folders.
fn plain_folders(folder: &Path, path: &Path) -> io::Result<()> {
    let mut at = folder.to_owned();
    for part in path.components() {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(found) if !found.is_dir() => return Err(odd(&at, "no folder")),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn odd(path: &Path, what: &str) -> io::Error {
    io::Error::other(format!(
        "{} is {what}, perhaps a link; remove it first",
        one_line(path.display(), SHOWN_BYTES)
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_out_of_a_case_is_neither_written_nor_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, elsewhere) = (dir.path().join("expected"), dir.path().join("elsewhere"));
        fs::create_dir_all(folder.join("a")).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("precious"), "x").unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.join("link")).unwrap();
        std::os::unix::fs::symlink(elsewhere.join("precious"), folder.join("file")).unwrap();
        for path in ["link/precious", "link/new", "file", "a"] {
            let error = write(&folder, path, b"y", &mut Vec::new()).unwrap_err().to_string();
            assert!(error.contains("perhaps a link"), "{path}: {error}");
        }
        assert_eq!(fs::read(elsewhere.join("precious")).unwrap(), b"x");
        write(&folder, "a/b/new", b"y", &mut Vec::new()).unwrap();
        assert_eq!(fs::read(folder.join("a/b/new")).unwrap(), b"y");
    }
}
