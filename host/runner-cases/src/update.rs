//! Writes what a run has shown as what is expected from now on.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::json;

use crate::case::{Case, Expected};
use crate::check::{Observed, path_of};
use crate::compare::Comparison;
use crate::run::FileRunError;

/// The file of an expected failure.
const FAILURE: &str = "failure.json";

/// Makes `expected/` of a case what the run has shown; `out` has the artifacts. Returns what was written and removed, by its path
/// in the case.
///
/// # Errors
/// When a file can't be written, or the run shows nothing that can be expected: it did not begin.
pub fn update(case: &Case, observed: &Observed, out: &Path) -> io::Result<Vec<String>> {
    let folder = case.dir.join("expected");
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
                let expected = folder.join(&path);
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
        fs::remove_file(folder.join(path))?;
        changed.push(format!("removed expected/{path}"));
    }
    Ok(changed)
}

fn write(folder: &Path, path: &str, bytes: &[u8], changed: &mut Vec<String>) -> io::Result<()> {
    let file = folder.join(path);
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&file, bytes)?;
    changed.push(format!("wrote expected/{path}"));
    Ok(())
}
