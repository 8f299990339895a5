//! `test` and `test-plugins`: builds what is tested and runs the suites and the runners' test cases.

use std::ffi::OsString;

use anyhow::Result;

use crate::deploy;
use crate::guests::{self, Component};
use crate::languages::{self, Need};
use crate::node;
use crate::process::Cmd;
use crate::project::Project;
use crate::report::Report;
use crate::setup::{self, Toolchain};
use crate::templates;
use crate::testing;

/// Builds everything that the suites need, then runs them, with `args` for `cargo test`, and the test cases
/// of every runner.
pub(crate) fn test(project: &Project, report: &mut Report, args: &[OsString], need: Need) {
    // A build that failed is in the report; the suites that need it would only repeat it.
    let Some(toolchain) = report.step("set-up", setup::toolchain) else { return };
    let components = report.step("runners", || guests::runners(project, &toolchain));
    let guests = report.step("test guests", || guests::for_tests(project, &toolchain));
    let node = report.step("node and suites", || node::build_with_tests(project));
    let reference = report.step("reference node and client", || node::build_reference(project, "debug"));
    let (Some(components), Some(_), Some(()), Some(())) = (components, guests, node, reference) else {
        return;
    };
    deploy::tools_for_tests(project);
    report.step("tests", || run(project, args));
    cases(project, report, &components);
    new_projects(project, report, &toolchain, need);
}

/// Builds the runners and the node, then runs the test cases of every runner, and of what `plugin new` writes.
pub(crate) fn test_plugins(project: &Project, report: &mut Report, need: Need) {
    let Some(toolchain) = report.step("set-up", setup::toolchain) else { return };
    let components = report.step("runners", || guests::runners(project, &toolchain));
    let node = report.step("node", || node::build(project));
    if let (Some(components), Some(())) = (components, node) {
        cases(project, report, &components);
        new_projects(project, report, &toolchain, need);
    }
}

/// Makes a project in each language, and does with it what an author would.
fn new_projects(project: &Project, report: &mut Report, toolchain: &Toolchain, need: Need) {
    report.step("a new project in Rust", || templates::rust(project, toolchain));
    report.step("a new project in Python", || match languages::python(project, need)? {
        Some(componentize) => templates::python(project, &componentize),
        None => Ok(()),
    });
    report.step("a new project in JavaScript", || match languages::javascript(project, need)? {
        Some(componentize) => templates::javascript(project, &componentize),
        None => Ok(()),
    });
    report.step("a new project in TypeScript", || match languages::typescript(project, need)? {
        Some(modules) => templates::typescript(project, &modules),
        None => Ok(()),
    });
    report.step("a new project in C", || match languages::c(project, need)? {
        Some(tools) => templates::made_with_make(project, "c", &tools),
        None => Ok(()),
    });
    report.step("a new project in Go", || match languages::go(project, need)? {
        Some(tools) => templates::made_with_make(project, "go", &tools),
        None => Ok(()),
    });
}

/// Runs the test cases of each runner that has some.
fn cases(project: &Project, report: &mut Report, components: &[Component]) {
    for component in components {
        let cases = component.source.join("cases");
        if !cases.is_dir() {
            eprintln!("\n{} has no test cases: there is no {}", component.name, project.short(&cases));
            continue;
        }
        report.step(format!("cases of {}", component.name), || {
            Cmd::new(project.node()).args(["plugin", "test"]).arg(&component.file).arg(&cases).run()
        });
    }
}

/// The tests of the workspace, with the paths of the programs and components that were built for them.
fn run(project: &Project, args: &[OsString]) -> Result<()> {
    let paths = [
        ("POSEMESH_BROWSER", setup::browser()),
        ("POSEMESH_NODE_BIN", project.node()),
        ("POSEMESH_PLUGINS_DIR", project.plugins()),
        ("POSEMESH_TEST_GUESTS_DIR", project.test_guests()),
        ("POSEMESH_TOOLS_DIR", project.target.join("tools")),
        ("POSEMESH_REFERENCE_NODE_BIN", project.reference_node("debug")),
        ("POSEMESH_REFERENCE_DOMAIN_CLIENT_BIN", project.reference_domain_client("debug")),
    ];
    testing::test(project, args, &paths)
}
