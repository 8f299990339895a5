//! The guest that the suites about swaps write versions into.

use std::process::Command;

use posemesh_tests::node_binary;
use posemesh_tests::versions::{Does, capability, put, versioned};
use serde_json::Value;

#[test]
pub(crate) fn a_version_that_is_written_into_the_bytes_is_the_one_described() {
    let dir = tempfile::tempdir().expect("a folder");
    put(dir.path(), "swap.wasm", &versioned(1_000_007, Does::Fail, 42));
    let output = Command::new(node_binary())
        .args(["plugin", "show"])
        .arg(dir.path().join("swap.wasm"))
        .output()
        .expect("the node runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(shown["description"]["version"], "1.0.1000007", "{shown}");
    assert_eq!(shown["description"]["capabilities"], serde_json::json!([capability(42)]), "{shown}");
}
