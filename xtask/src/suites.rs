//! `test` and `test-plugins`: builds what is tested and runs the suites and the runners' test cases.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::deploy;
use crate::guests::{self, Component};
use crate::languages::{self, Need};
use crate::node;
use crate::process::Cmd;
use crate::project::Project;
use crate::report::Report;
use crate::runners::{self, Language};
use crate::setup::{self, Toolchain};
use crate::templates;
use crate::testing;

/// How long the node may compile all runners of a folder.
const COMPILE_TIME: Duration = Duration::from_secs(600);

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
    report.step("compiled runners", || compile(project));
    report.step("tests", || run(project, args));
    cases(project, report, &components);
    other_languages(project, report, &toolchain, need);
}

/// Builds the runners and the node, then runs the test cases of every runner, in whatever language, and of what `plugin new`
/// writes.
pub(crate) fn test_plugins(project: &Project, report: &mut Report, need: Need) {
    let Some(toolchain) = report.step("set-up", setup::toolchain) else { return };
    let components = report.step("runners", || guests::runners(project, &toolchain));
    let node = report.step("node", || node::build(project));
    if let (Some(components), Some(())) = (components, node) {
        cases(project, report, &components);
        other_languages(project, report, &toolchain, need);
    }
}

/// Makes a project in each language, and does with it what an author would; builds and tests our runners in other languages than
/// Rust with the same toolchains.
fn other_languages(project: &Project, report: &mut Report, toolchain: &Toolchain, need: Need) {
    report.step("a new project in Rust", || templates::rust(project, toolchain));
    report.step("a new project in TypeScript", || match languages::typescript(project, need)? {
        Some(modules) => templates::typescript(project, &modules),
        None => Ok(()),
    });
    for language in Language::ALL {
        let Some(tool) = tool(project, report, language, need) else { continue };
        report.step(format!("a new project in {}", language.name()), || match language {
            Language::Python => templates::python(project, &tool),
            Language::JavaScript => templates::javascript(project, &tool),
            Language::Go => templates::made_with_make(project, "go", &tool),
            Language::C => templates::made_with_make(project, "c", &tool),
        });
        let components = built(project, report, language, &tool);
        cases(project, report, &components);
    }
}

/// Tests and builds our runners in other languages than Rust.
pub(crate) fn language_runners(project: &Project, report: &mut Report, need: Need) {
    for language in Language::ALL {
        if let Some(tool) = tool(project, report, language, need) {
            built(project, report, language, &tool);
        }
    }
}

/// The toolchain of a language; none if it is missing, which is an error where it is needed.
fn tool(project: &Project, report: &mut Report, language: Language, need: Need) -> Option<PathBuf> {
    report
        .step(format!("a toolchain for {}", language.name()), || language.toolchain(project, need))
        .flatten()
}

/// Our runners in a language, tested and built, but for those that fail.
fn built(project: &Project, report: &mut Report, language: Language, tool: &Path) -> Vec<Component> {
    let found =
        report.step(format!("runners in {}", language.name()), || runners::in_language(project, language));
    let mut components = Vec::new();
    for runner in found.unwrap_or_default() {
        let step = format!("{}, in {}", runner.name, language.name());
        components.extend(report.step(step, || runners::build(project, &runner, tool)));
    }
    components
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

/// Has the node compile all runners and guests into one cache, of which the tests' nodes get copies: several hundred nodes would
/// compile the same few otherwise. What is there already is not compiled again.
fn compile(project: &Project) -> Result<()> {
    let cache = project.test_cache();
    for runners in [project.plugins(), project.test_guests()] {
        let node = Cmd::new(project.node()).args(["plugin", "list"]).arg(&runners).dir(&project.target);
        let node = node.env("CACHE_DIR", &cache).time_limit(COMPILE_TIME);
        // Some guests are there to be refused, and what is not compiled here is compiled by those that need it.
        let said = project.target.join("test-cache.txt");
        eprintln!("$ {}", node.shown());
        node.run_into(&said)?;
    }
    if !cache.join("key").is_file() {
        let why = project.target.join("test-cache.txt");
        eprintln!(
            "the node keeps no compiled runners in {}, so that each test compiles its own; {} says why",
            project.short(&cache),
            project.short(&why)
        );
    }
    Ok(())
}

/// The tests of the workspace, with the paths of the programs and components that were built for them.
fn run(project: &Project, args: &[OsString]) -> Result<()> {
    let paths = [
        ("POSEMESH_BROWSER", setup::browser()),
        ("POSEMESH_NODE_BIN", project.node()),
        ("POSEMESH_PLUGINS_DIR", project.plugins()),
        ("POSEMESH_TEST_GUESTS_DIR", project.test_guests()),
        ("POSEMESH_TEST_CACHE_DIR", project.test_cache()),
        ("POSEMESH_TOOLS_DIR", project.target.join("tools")),
        ("POSEMESH_REFERENCE_NODE_BIN", project.reference_node("debug")),
        ("POSEMESH_REFERENCE_DOMAIN_CLIENT_BIN", project.reference_domain_client("debug")),
    ];
    testing::test(project, args, &paths)
}
