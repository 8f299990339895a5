//! The test programs: cargo builds them and says where they are.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::Cmd;
use crate::project::Project;
use crate::testing::arguments::Arguments;
use crate::testing::machine::cores;
use crate::testing::pool::Job;

/// The suites that take longest, the longest first.
const LONGEST: [&str; 4] = ["tests: conformance", "tests: fault_matrix", DOC_TESTS, "tests: guests"];

/// Those whose tests hardly compute: more of them than there are cores run at a time.
const WAITING: [&str; 2] = ["tests: conformance", "tests: fault_matrix"];

/// The variable by which a test program learns how many of its tests run at a time.
const THREADS: &str = "RUST_TEST_THREADS";

/// What stands for all doc tests.
const DOC_TESTS: &str = "doc tests";

/// Builds the test programs that the arguments select.
///
/// # Errors
/// If something does not compile.
pub(super) fn build(project: &Project, args: &Arguments) -> Result<Vec<Job>> {
    let cargo = project.cargo("test").args(["--workspace", "--no-run"]).args(&args.cargo);
    let messages = cargo.arg("--message-format=json-render-diagnostics").shown_output()?;
    let mut jobs = Vec::new();
    for line in messages.lines() {
        // Other lines are what a build script printed.
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        if let Some(job) =
            job(project, &message, args).with_context(|| format!("read cargo's message {line}"))?
        {
            jobs.push(job);
        }
    }
    Ok(jobs)
}

/// The doc tests of all libraries, which cargo builds and runs.
pub(super) fn doc_tests(project: &Project, args: &Arguments) -> Job {
    let others = args.cargo.iter().filter(|arg| *arg != "--doc" && *arg != "--no-fail-fast");
    let cargo = project.cargo("test").args(["--workspace", "--doc", "--no-fail-fast"]).args(others);
    Job {
        name: DOC_TESTS.to_owned(),
        command: cargo.arg("--").args(&args.programs),
        begins: begins(DOC_TESTS),
    }
}

/// The test program that a message of cargo is about, if it is about one.
fn job(project: &Project, message: &Value, args: &Arguments) -> Result<Option<Job>> {
    let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
    let is_test = message.pointer("/profile/test").and_then(Value::as_bool) == Some(true);
    let Some(program) = text("/executable").filter(|_| is_test) else { return Ok(None) };
    let manifest = Path::new(text("/manifest_path").context("there is no path of a manifest")?);
    let folder = manifest.parent().context("the manifest is in no folder")?;
    let target = text("/target/name").context("there is no name of a target")?;
    let kind = text("/target/kind/0").unwrap_or_default();
    let name = name(&project.short(folder).to_string(), target, kind);
    // As cargo runs it: in the folder of its package.
    let mut command =
        Cmd::new(program).dir(folder).env_hidden("CARGO_MANIFEST_DIR", folder).args(&args.programs);
    // What the reader has set counts, and so does an argument of the programs.
    if WAITING.contains(&name.as_str()) && std::env::var_os(THREADS).is_none() {
        command = command.env(THREADS, (2 * cores()).to_string());
    }
    let begins = begins(&name);
    Ok(Some(Job { name, command, begins }))
}

/// What a reader calls a test program: `tests: conformance`, `host/node`.
fn name(folder: &str, target: &str, kind: &str) -> String {
    match kind {
        "test" | "example" | "bench" => format!("{folder}: {target}"),
        // A package has one library, and its unit tests are what is meant by its folder.
        "bin" => format!("{folder}: {target} (program)"),
        _ => folder.to_owned(),
    }
}

/// The place of a program in the order.
fn begins(name: &str) -> usize {
    LONGEST.iter().position(|longest| *longest == name).unwrap_or(LONGEST.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_test_program_runs_in_the_folder_of_its_package() {
        let project = Project { root: PathBuf::from("/repo"), target: PathBuf::from("/repo/target") };
        let message = |test: bool, kind: &str, target: &str| {
            json!({"reason": "compiler-artifact", "manifest_path": "/repo/tests/Cargo.toml",
                "target": {"kind": [kind], "name": target}, "profile": {"test": test},
                "executable": "/repo/target/debug/deps/x-1"})
        };
        let args = Arguments { programs: vec!["s3_4".into()], ..Arguments::default() };
        let found = |message| job(&project, &message, &args).unwrap();
        let suite = found(message(true, "test", "conformance")).unwrap();
        assert_eq!((suite.name.as_str(), suite.begins()), ("tests: conformance", 0));
        assert_eq!(
            suite.command.shown(),
            format!("RUST_TEST_THREADS={} /repo/target/debug/deps/x-1 s3_4", 2 * cores())
        );
        assert_eq!(found(message(true, "lib", "posemesh_tests")).unwrap().name, "tests");
        assert!(found(message(false, "bin", "node")).is_none(), "it is no test");
        assert!(found(json!({"reason": "build-finished"})).is_none());
    }
}
