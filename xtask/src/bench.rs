//! `bench`: builds the measured programs in release mode and becomes the one that measures.

mod languages;

use std::ffi::OsString;

use anyhow::Result;

use crate::guests;
use crate::node;
use crate::process::Cmd;
use crate::project::Project;
use crate::setup;

/// Measures the languages of runners, or becomes `posemesh-bench` with `args` and returns only an error.
pub(crate) fn bench(project: &Project, args: &[OsString]) -> Result<()> {
    if args == ["languages"] {
        return languages::languages(project);
    }
    let toolchain = setup::toolchain()?;
    guests::runners(project, &toolchain)?;
    guests::for_tests(project, &toolchain)?;
    node::build_release(project)?;
    if args.iter().any(|arg| ["storage", "tasks", "inputs"].iter().any(|with| arg == with)) {
        node::build_reference(project, "release")?;
    }
    let bench = Cmd::new(project.released("posemesh-bench"))
        .args(args)
        .env("POSEMESH_NODE_BIN", project.released("posemesh-node"))
        .env("POSEMESH_PLUGINS_DIR", project.plugins())
        .env("POSEMESH_TEST_GUESTS_DIR", project.test_guests())
        .env("POSEMESH_REFERENCE_NODE_BIN", project.reference_node("release"));
    Err(bench.exec())
}
