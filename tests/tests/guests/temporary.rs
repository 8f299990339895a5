//! `/tmp` and the working directory, which runtimes of other languages expect without being told.

use std::path::{Path, PathBuf};
use std::process::Command;

use posemesh_tests::guests::TEMPORARY;
use posemesh_tests::node_binary;

use crate::plugin_run::{assert_works, read, run_with};

#[test]
pub(crate) fn tmp_and_the_working_directory_are_what_programs_expect() {
    let dir = assert_works(TEMPORARY);
    assert_eq!(read(dir.path(), "tmp.txt"), b"made in /tmp");
    assert_eq!(read(dir.path(), "relative.txt"), b"made in the working directory");
}

#[test]
fn tmp_has_no_budget_of_its_own() {
    let (output, _dir) =
        run_with(TEMPORARY, "[limits]\nscratch_bytes = 10000000", &["--meta", r#"{"fill": true}"#]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("`scratch_bytes` of 10000000"), "{text}");
}

/// What `tempfile` needs, and what a program with relative paths does.
const PYTHON: &str = r#"
import os
import tempfile

from posemesh_runner import Entry, runner


@runner("/temporary/v1", name="temporary", version="1.0.0")
def run(task):
    """Uses tempfile as any program does."""
    assert tempfile.gettempdir() == "/tmp", tempfile.gettempdir()
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "half"), "w") as half:
            half.write("made in a folder of tempfile's")
        os.replace(os.path.join(folder, "half"), "whole.txt")
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * 100_000)
        file.seek(0)
        assert len(file.read()) == 100_000
    with tempfile.SpooledTemporaryFile(max_size=10) as file:
        file.write(b"rolled over to the disk")
    assert os.listdir("/tmp") == [], os.listdir("/tmp")
    task.write_file("whole.txt", "whole.txt")
"#;

#[test]
fn pythons_tempfile_works() {
    let Some(componentize) = componentize_py() else {
        eprintln!("skipped: target/languages has no componentize-py; `cargo xtask test-plugins` installs it");
        return;
    };
    let dir = tempfile::tempdir().expect("a folder");
    let project = dir.path().join("temporary");
    let node = |args: &[&str]| Command::new(node_binary()).args(args).current_dir(dir.path()).output();
    let made = node(&["plugin", "new", "temporary", "--lang", "python"]).expect("the node runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::write(project.join("app.py"), PYTHON).expect("a runner");
    let built = Command::new(componentize)
        .args(["-d", "wit", "-w", "runner", "componentize", "app", "-o", "temporary.wasm"])
        .current_dir(&project)
        .output()
        .expect("componentize-py starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let ran = node(&["plugin", "run", "temporary/temporary.wasm", "--out", "out"]).expect("the node runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(read(dir.path(), "whole.txt"), b"made in a folder of tempfile's");
}

/// The one that `cargo xtask test-plugins` builds the projects with.
fn componentize_py() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let at = root.join("target/languages/python/bin/componentize-py");
    at.exists().then_some(at)
}
