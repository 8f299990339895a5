//! `posemesh-node plugin test` as an author uses it: what differs is shown, whatever else is broken, and may be written down.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use posemesh_tests::guests::{COPY, PORTS};
use posemesh_tests::node_binary;
use tempfile::TempDir;

/// The guest that copies its inputs, with cases: `good`, `changed` (a byte of what is expected), `unreadable` and `talks`.
fn cases() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("copy.wasm"), COPY.bytes()).expect("a component");
    let case = |name: &str, task: &str, expected: &[(&str, &str)]| {
        let at = dir.path().join("cases").join(name);
        for folder in ["inputs", "expected"] {
            fs::create_dir_all(at.join(folder)).expect("a folder");
        }
        fs::write(at.join("task.json"), task).expect("a task");
        fs::write(at.join("inputs/a.txt"), "hello").expect("an input");
        for (path, text) in expected {
            fs::write(at.join("expected").join(path), text).expect("a file");
        }
    };
    case("good", "{}", &[("0-0.bin", "hello")]);
    case("changed", "{}", &[("0-0.bin", "hullo"), ("gone.bin", "")]);
    case("unreadable", "{\"meta\": ", &[]);
    let two_parts = r#"{"files": {"a.txt": ["inputs/a.txt", "inputs/a.txt"]},
                       "expect": {"log_contains": ["never said"], "at_most": {"artifacts": 1, "memory_bytes": "1GiB", "tea": 1}}}"#;
    case("demanding", two_parts, &[("0-0.bin", "hello"), ("0-1.bin", "hello")]);
    dir
}

fn test(dir: &Path, more: &[&str]) -> (Output, String) {
    let output = Command::new(node_binary())
        .args(["plugin", "test", "copy.wasm", "cases"])
        .args(more)
        .current_dir(dir)
        .env("CACHE_DIR", dir.join("cache"))
        .output()
        .expect("the node runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, said)
}

#[test]
fn every_case_is_run_and_every_difference_told_whatever_is_broken() {
    let dir = cases();
    let (output, said) = test(dir.path(), &["--jobs", "3", "--junit", "junit.xml"]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for told in [
        "case copy/good ... ok",
        "case copy/changed ... FAILED",
        "0-0.bin: it differs from byte 1 on",
        "gone.bin: the artifact was expected and does not exist",
        "case copy/unreadable ... FAILED",
        "task.json",
        "case copy/demanding ... FAILED",
        "contains \"never said\"",
        "it used 2 of artifacts, expected 1 at most",
        "tea: nothing is measured by this name; measured are memory_bytes",
        "copy: 1 passed, 3 failed",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    let xml = fs::read_to_string(dir.path().join("junit.xml")).expect("a report");
    assert!(xml.contains("tests=\"4\" failures=\"3\""), "{xml}");
    let (output, said) = test(dir.path(), &["--filter", "goo"]);
    assert!(output.status.success() && said.contains("copy: 1 passed, 0 failed"), "{said}");
    let (output, _) = test(dir.path(), &["--filter", "no such case"]);
    assert_eq!(output.status.code(), Some(1), "nothing was tested");
}

#[test]
fn what_a_run_shows_is_written_down_if_wanted() {
    let dir = cases();
    let (output, said) = test(dir.path(), &["--filter", "changed", "--update"]);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("wrote expected/0-0.bin") && said.contains("removed expected/gone.bin"), "{said}");
    let expected = dir.path().join("cases/changed/expected");
    assert_eq!(fs::read(expected.join("0-0.bin")).expect("the artifact"), b"hello");
    assert!(!expected.join("gone.bin").exists());
    let (output, said) = test(dir.path(), &["--filter", "changed", "--update"]);
    assert!(output.status.success() && !said.contains("wrote"), "there is nothing left to write: {said}");

    // A case that was just begun: a task and its input.
    fs::create_dir_all(dir.path().join("cases/begun/inputs")).expect("a folder");
    fs::write(dir.path().join("cases/begun/task.json"), "{}").expect("a task");
    fs::write(dir.path().join("cases/begun/inputs/a.txt"), "new").expect("an input");
    let (output, said) = test(dir.path(), &["--filter", "begun"]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("it expects nothing") && said.contains("`plugin test --update`"), "{said}");
    let (output, said) = test(dir.path(), &["--filter", "begun", "--update"]);
    assert!(output.status.success() && said.contains("wrote expected/0-0.bin"), "{said}");
    let (output, said) = test(dir.path(), &["--filter", "begun"]);
    assert!(output.status.success(), "{said}");

    let (output, said) = test(dir.path(), &["--filter", "demanding", "--update"]);
    assert_eq!(output.status.code(), Some(1), "nobody can write down what was not said: {said}");
}

#[test]
fn an_artifact_that_was_never_finished_is_a_warning_and_cases_come_in_their_order() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("copy.wasm"), PORTS.bytes()).expect("a component");
    for name in ["c", "a", "b"] {
        let case = dir.path().join("cases").join(name);
        for folder in ["inputs", "expected"] {
            fs::create_dir_all(case.join(folder)).expect("a folder");
        }
        fs::write(case.join("task.json"), "{}").expect("a task");
        fs::write(case.join("inputs/a.txt"), "hello").expect("an input");
    }
    let (_, said) = test(dir.path(), &["--jobs", "3"]);
    assert!(
        said.contains("    warning: artifact ") && said.contains("was begun and never finished"),
        "{said}"
    );
    let order: Vec<&str> =
        said.lines().filter_map(|line| line.strip_prefix("case copy/")?.get(..1)).collect();
    assert_eq!(order, ["a", "b", "c"], "{said}");
}
