//! Runners that were built against an older version of the contract: each version has an adaptor.

use std::path::Path;
use std::process::{Command, Output};

use posemesh_tests::by_hand::{Parts, runner};
use posemesh_tests::guests::OLDER;
use posemesh_tests::node_binary;
use serde_json::Value;

fn plugin_run(component: &Path, dir: &Path, meta: &str) -> Output {
    let input = dir.join("scan.bin");
    std::fs::write(&input, "hello from a file").expect("an input");
    let mut command = Command::new(node_binary());
    command.args(["plugin", "run"]).arg(component).arg("--input").arg(input);
    command.arg("--out").arg(dir.join("out")).args(["--meta", meta]);
    command.output().expect("the node runs")
}

#[test]
pub(crate) fn a_runner_of_0_1_0_works_through_its_adaptor() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = plugin_run(&OLDER.path(), dir.path(), "null");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (name, wanted) in
        [("kept.bin", "hello from a file"), ("file.bin", "hello from a file"), ("empty.bin", "")]
    {
        let stored = std::fs::read_to_string(dir.path().join("out").join(name));
        assert_eq!(stored.unwrap_or_else(|error| panic!("{name}: {error}")), wanted, "{name}");
    }
}

#[test]
fn the_errors_of_0_1_0_are_told_as_those_of_today() {
    for (meta, wanted) in [
        ("\"port\"", "port error: artifact path \"../escape\""),
        ("\"input\"", "invalid input: no scan"),
        ("\"failed\"", "for a test"),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let output = plugin_run(&OLDER.path(), dir.path(), meta);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{meta}: {text}");
        assert!(text.contains(wanted), "{meta}: expected {wanted:?} in {text}");
    }
}

#[test]
fn a_component_whose_record_is_older_by_one_field_is_described_and_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let component = dir.path().join("short.wasm");
    // `requests` of 0.1.0 has no `artifacts`; what follows it lies 16 bytes earlier.
    let parts = Parts { version: "0.1.0", ..Parts::default() };
    std::fs::write(&component, runner("short", &parts)).expect("a component");
    let shown =
        Command::new(node_binary()).args(["plugin", "show"]).arg(&component).output().expect("it runs");
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(shown["description"]["name"], "short", "{shown}");
    assert_eq!(
        shown["description"]["capabilities"],
        serde_json::json!(["/posemesh/test/short/v1"]),
        "{shown}"
    );
    let output = plugin_run(&component, dir.path(), "null");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
