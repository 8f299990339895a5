//! The commands that build, run and test the node.

use std::env;
use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;

use crate::guests::{self, Component};
use crate::process::Cmd;
use crate::project::Project;
use crate::report::Report;
use crate::setup;

/// What the demo works on unless it is told otherwise.
const DEFAULT_SCAN: &str = "tests/data/dragon/dragon_vrip_res3.ply.gz";

/// `cargo build` for the node.
///
/// Of all members, though one would do: with `-p posemesh-node` other features are active than in the
/// tests, and wasmtime and its compiler would be built twice.
fn build_node(project: &Project) -> Cmd {
    project.cargo("build").args(["--workspace", "--bin", "posemesh-node"])
}

/// Becomes `posemesh-node demo`, with `args` and what they leave open. Returns only an error.
pub fn demo(project: &Project, args: &[OsString]) -> Result<()> {
    let toolchain = setup::toolchain()?;
    guests::runners(project, &toolchain)?;
    build_node(project).run()?;
    let here = env::current_dir().unwrap_or_default();
    Err(Cmd::new(project.node()).args(demo_args(project, &here, args)).become_it())
}

/// The node's arguments for the demo. Our paths are written as seen from `here`.
fn demo_args(project: &Project, here: &Path, args: &[OsString]) -> Vec<OsString> {
    let ours = [
        ("--plugins-dir", project.plugins()),
        ("--out", project.root.join("demo-output")),
        ("--scan", project.root.join(DEFAULT_SCAN)),
    ];
    let mut all = vec![OsString::from("demo")];
    for (option, path) in ours {
        if !is_given(option, args) {
            all.push(option.into());
            all.push(path.strip_prefix(here).unwrap_or(&path).into());
        }
    }
    all.extend(args.iter().cloned());
    all
}

/// Whether `option` is in `args`, as `--option value` or as `--option=value`.
fn is_given(option: &str, args: &[OsString]) -> bool {
    args.iter()
        .filter_map(|arg| arg.to_str())
        .any(|arg| arg.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')))
}

/// Everything that is tested: builds what the suites need, then runs them with `args` for `cargo test`.
pub fn test(project: &Project, report: &mut Report, args: &[OsString]) {
    // What can't be built is in the report; the suites that need it would only say it again.
    let Some(toolchain) = report.step("set-up", setup::toolchain) else { return };
    let components = report.step("runners", || guests::runners(project, &toolchain));
    let guests = report.step("test guests", || guests::for_tests(project, &toolchain));
    // Together, for the same reason as above: what only tests depend on activates features too.
    let node = report.step("node and suites", || build_node(project).arg("--tests").run());
    let reference = report.step("reference node and client", || reference_node(project, "debug"));
    let (Some(components), Some(_), Some(()), Some(())) = (components, guests, node, reference) else {
        return;
    };
    report.step("cargo test", || suites(project, args));
    cases(project, report, &components);
}

/// Builds the runners and the node, then runs every runner's test cases.
pub fn test_plugins(project: &Project, report: &mut Report) {
    let Some(toolchain) = report.step("set-up", setup::toolchain) else { return };
    let components = report.step("runners", || guests::runners(project, &toolchain));
    let node = report.step("node", || build_node(project).run());
    if let (Some(components), Some(())) = (components, node) {
        cases(project, report, &components);
    }
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

/// `cargo test` with the places of what was built for it.
fn suites(project: &Project, args: &[OsString]) -> Result<()> {
    let places: [(&str, &Path); 5] = [
        ("POSEMESH_NODE_BIN", &project.node()),
        ("POSEMESH_PLUGINS_DIR", &project.plugins()),
        ("POSEMESH_TEST_GUESTS_DIR", &project.test_guests()),
        ("POSEMESH_REFERENCE_NODE_BIN", &project.reference_node("debug")),
        ("POSEMESH_REFERENCE_DOMAIN_CLIENT_BIN", &project.reference_domain_client("debug")),
    ];
    let mut cargo = project.cargo("test").args(["--workspace", "--no-fail-fast"]).args(args);
    for (name, path) in places {
        cargo = cargo.env(name, path);
    }
    cargo.run()
}

/// Builds the reference node as `debug` or `release`, in its own workspace and target directory, and with it
/// the reference domain client.
pub fn reference_node(project: &Project, built: &str) -> Result<()> {
    let mut cargo = Cmd::cargo().dir(&project.root).args(["build", "--locked"]);
    if built == "release" {
        cargo = cargo.arg("--release");
    }
    cargo
        .arg("--manifest-path")
        .arg(project.reference_manifest())
        .env_quietly("CARGO_TARGET_DIR", project.reference_target())
        .cure("if its dependencies were changed: `cargo update` in tests/reference, and commit Cargo.lock")
        .run()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn args(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_demo_fills_in_what_is_not_given() {
        let project = Project { root: PathBuf::from("/repo"), target: PathBuf::from("/repo/target") };
        let here = Path::new("/repo");
        assert_eq!(
            demo_args(&project, here, &args(&["--scan", "my.ply", "-v"])),
            args(&[
                "demo",
                "--plugins-dir",
                "target/plugins",
                "--out",
                "demo-output",
                "--scan",
                "my.ply",
                "-v"
            ])
        );
        assert_eq!(
            demo_args(&project, Path::new("/else"), &args(&["--scan=x", "--out", "y", "--plugins-dir=z"])),
            args(&["demo", "--scan=x", "--out", "y", "--plugins-dir=z"])
        );
    }

    #[test]
    fn an_option_that_only_begins_the_same_is_another() {
        assert!(is_given("--out", &args(&["--out=x"])));
        assert!(!is_given("--out", &args(&["--output-format", "out"])));
    }
}
