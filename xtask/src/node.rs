//! Builds the node, and the reference programs that it is tested against.

use std::path::Path;

use anyhow::Result;

use crate::process::Cmd;
use crate::progress::{self, NODE, REFERENCE, RELEASE, SUITES};
use crate::project::Project;

/// Builds the node alone, without what only tests and benchmarks depend on.
///
/// The dependencies get the same features as in the whole workspace (`features.rs` checks it); otherwise
/// wasmtime and its compiler would be built a second time for the tests.
///
/// # Errors
/// If the node does not compile.
pub(crate) fn build(project: &Project) -> Result<()> {
    progress::announce(&NODE, project.node().exists());
    project.cargo("build").args(["-p", "posemesh-node", "--bin", "posemesh-node"]).run()
}

/// Builds the node together with all test programs, so that cargo settles on one set of features for both.
///
/// # Errors
/// If something does not compile.
pub(crate) fn build_with_tests(project: &Project) -> Result<()> {
    progress::announce(&SUITES, has_test_programs(&project.debug().join("deps")));
    project.cargo("build").args(["--workspace", "--bin", "posemesh-node", "--tests"]).run()
}

/// Builds the node, the measuring program and all test programs, with the features that [`build_with_tests`] has.
///
/// # Errors
/// If something does not compile.
pub(crate) fn build_with_bench(project: &Project) -> Result<()> {
    progress::announce(&SUITES, has_test_programs(&project.debug().join("deps")));
    let programs = ["--bin", "posemesh-node", "--bin", "posemesh-bench"];
    project.cargo("build").arg("--workspace").args(programs).arg("--tests").run()
}

/// Builds the measuring program alone, for what measures nothing.
///
/// # Errors
/// If it does not compile.
pub(crate) fn build_bench(project: &Project) -> Result<()> {
    project.cargo("build").args(["--workspace", "--bin", "posemesh-bench"]).run()
}

/// Builds the node and the measuring program with `--release`.
///
/// # Errors
/// If something does not compile.
pub(crate) fn build_release(project: &Project) -> Result<()> {
    progress::announce(&RELEASE, project.released("posemesh-bench").exists());
    let packages = ["-p", "posemesh-node", "-p", "posemesh-bench"];
    let programs = ["--bin", "posemesh-node", "--bin", "posemesh-bench"];
    project.cargo("build").arg("--release").args(packages).args(programs).run()
}

/// Builds the reference node and the reference domain client in `profile` (`debug` or `release`), in a
/// workspace and target directory of their own.
///
/// # Errors
/// If something does not compile.
pub(crate) fn build_reference(project: &Project, profile: &str) -> Result<()> {
    progress::announce(&REFERENCE, project.reference_node(profile).exists());
    let mut cargo = Cmd::cargo().dir(&project.root).args(["build", "--locked"]);
    if profile == "release" {
        cargo = cargo.arg("--release");
    }
    cargo
        .arg("--manifest-path")
        .arg(project.reference_manifest())
        .env_hidden("CARGO_TARGET_DIR", project.reference_target())
        .cure("if its dependencies were changed: `cargo update` in tests/reference, and commit Cargo.lock")
        .run()
}

/// Whether a program of the suites in `tests/` is in `folder`. Its name ends with a hash.
fn has_test_programs(folder: &Path) -> bool {
    let Ok(files) = folder.read_dir() else { return false };
    files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("conformance-"))
}
