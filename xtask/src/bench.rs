//! Builds what is measured the way it is shipped, and measures it.

use std::ffi::OsString;

use anyhow::Result;

use crate::guests;
use crate::project::Project;
use crate::setup;
use crate::steps;

/// Becomes `posemesh-bench` with `args`. Returns only an error.
pub fn bench(project: &Project, args: &[OsString]) -> Result<()> {
    let toolchain = setup::toolchain()?;
    guests::runners(project, &toolchain)?;
    guests::for_tests(project, &toolchain)?;
    project
        .cargo("build")
        .args(["--workspace", "--release", "--bin", "posemesh-node", "--bin", "posemesh-bench"])
        .run()?;
    if args.iter().any(|arg| arg == "storage") {
        steps::reference_node(project, "release")?;
    }
    let bench = crate::process::Cmd::new(project.released("posemesh-bench"))
        .args(args)
        .env("POSEMESH_NODE_BIN", project.released("posemesh-node"))
        .env("POSEMESH_PLUGINS_DIR", project.plugins())
        .env("POSEMESH_TEST_GUESTS_DIR", project.test_guests())
        .env("POSEMESH_REFERENCE_NODE_BIN", project.reference_node("release"));
    Err(bench.become_it())
}
