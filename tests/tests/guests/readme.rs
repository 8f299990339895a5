//! The runner in README.md is compiled as a guest, and does what README says.

use std::process::Command;

use posemesh_tests::guests::README;
use posemesh_tests::{node_binary, root};
use serde_json::{Value, json};

/// The source that is compiled: the block of README.md, byte for byte.
const SOURCE: &str = "tests/guests/examples/readme.rs";

#[test]
fn the_compiled_source_is_the_block_in_the_readme() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let (_, rest) = readme.split_once("```rust\n").expect("a block of Rust in README.md");
    let (block, _) = rest.split_once("```").expect("the end of the block");
    let source = std::fs::read_to_string(root().join(SOURCE)).expect("the guest's source");
    assert!(
        block == source,
        "README.md and {SOURCE} differ. Change the block in README.md and copy it with:\n  \
         sed -n '/^```rust$/,/^```$/{{/^```/!p}}' README.md > {SOURCE}"
    );
}

#[test]
pub(crate) fn the_runner_of_the_readme_counts_the_bytes_of_its_inputs() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(node_binary());
    command.args(["plugin", "run"]).arg(README.path()).arg("--out").arg(dir.path().join("out"));
    for (name, bytes) in [("one.bin", 1000), ("two.bin", 234)] {
        let input = dir.path().join(name);
        std::fs::write(&input, vec![7; bytes]).expect("an input");
        command.arg("--input").arg(input);
    }
    let output = command.output().expect("the node runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let count = std::fs::read(dir.path().join("out/count.json")).expect("the artifact");
    let count: Value = serde_json::from_slice(&count).expect("JSON");
    assert_eq!(count, json!({"bytes": 1234, "lines": 2}));
}
