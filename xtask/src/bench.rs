//! `bench`: builds the measured programs in release mode and becomes the one that measures.
//!
//! A short run and counts of instructions take the development build, which the tests have too.

mod languages;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::debian;
use crate::guests;
use crate::node;
use crate::process::Cmd;
use crate::progress::{self, EXTISM};
use crate::project::{Project, executable};
use crate::setup;
use crate::simulate;

/// Measures the languages of runners, or becomes `posemesh-bench` with `args` and returns only an error.
pub(crate) fn bench(project: &Project, args: &[OsString]) -> Result<()> {
    if args == ["languages"] {
        return languages::languages(project);
    }
    let words: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
    let mut bench = command(project, &Wanted::by(&words))?;
    // Its options alone mean everything.
    if words.first().is_some_and(|word| word.starts_with("--") && *word != "--help") {
        bench = bench.arg("all");
    }
    Err(bench.args(args).exec())
}

/// Whether everything can be measured: each part with small sizes, its results and the document, in target/bench.
///
/// # Errors
/// If something can't be built, or a part fails.
pub(crate) fn short(project: &Project) -> Result<()> {
    let args = ["all", "--short"];
    command(project, &Wanted::by(&args))?.args(args).run()
}

/// Counts instructions against the baseline.
///
/// # Errors
/// If something can't be built, there is no Valgrind, or a count is too far away.
pub(crate) fn instructions(project: &Project) -> Result<()> {
    let args = ["instructions"];
    command(project, &Wanted::by(&args))?.args(args).run()
}

/// What a command line of the bench needs.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    profile: &'static str,
    /// A node, runners and test guests.
    node: bool,
    reference: bool,
    simulation: bool,
    extism: bool,
    /// The code of a runner, built for the machine.
    native: bool,
    valgrind: bool,
    curl: bool,
}

impl Wanted {
    fn by(words: &[&str]) -> Self {
        let part = words.first().copied().filter(|word| !word.starts_with('-')).unwrap_or("all");
        let short = words.contains(&"--short");
        let only = words.iter().position(|word| *word == "--only").and_then(|at| words.get(at + 1));
        let only: Option<Vec<&str>> = only.map(|parts| parts.split(',').collect());
        let one_of = |parts: &[&str]| match (part, &only) {
            ("all", Some(only)) => only.iter().any(|part| parts.contains(part)),
            ("all", None) => true,
            _ => parts.contains(&part),
        };
        let has_help = words.iter().any(|word| ["-h", "--help", "help"].contains(word));
        let measures = !has_help && part != "document";
        Self {
            profile: if short || part == "instructions" || !measures { "debug" } else { "release" },
            node: measures,
            reference: measures && one_of(&["storage", "tasks", "inputs"]),
            simulation: measures && one_of(&["fleet", "instructions"]),
            native: measures && one_of(&["compute"]),
            extism: measures && !short && one_of(&["peers"]),
            valgrind: measures && part == "instructions",
            curl: measures && one_of(&["storage"]),
        }
    }
}

/// The bench, built with what it measures, and told where that is.
fn command(project: &Project, wanted: &Wanted) -> Result<Cmd> {
    let built = project.target.join(wanted.profile);
    if wanted.node {
        let toolchain = setup::toolchain()?;
        guests::runners(project, &toolchain)?;
        guests::for_tests(project, &toolchain)?;
    }
    match wanted.profile {
        "release" => node::build_release(project)?,
        _ if wanted.node => node::build_with_bench(project)?,
        _ => node::build_bench(project)?,
    }
    let mut bench = Cmd::new(built.join(executable("posemesh-bench")))
        .env_hidden("POSEMESH_BENCH_ROOT", &project.root)
        .env_hidden("POSEMESH_BENCH_SHORT_ROOT", project.target.join("bench"))
        .env_hidden("POSEMESH_INSTRUCTIONS_BASELINE", project.root.join("bench/instructions.json"))
        .env("POSEMESH_NODE_BIN", built.join(executable("posemesh-node")))
        .env("POSEMESH_PLUGINS_DIR", project.plugins())
        .env("POSEMESH_TEST_GUESTS_DIR", project.test_guests());
    if wanted.reference {
        node::build_reference(project, wanted.profile)?;
        bench = bench.env("POSEMESH_REFERENCE_NODE_BIN", project.reference_node(wanted.profile));
    }
    if wanted.simulation {
        bench = bench.env("POSEMESH_SIMULATION_BIN", simulate::program(project)?);
    }
    if wanted.native {
        bench = bench.env("POSEMESH_NATIVE_POINTCLOUD_BIN", native(project, wanted.profile)?);
    }
    if wanted.extism {
        bench = bench.env("POSEMESH_EXTISM_PEER_BIN", extism(project)?);
    }
    if wanted.valgrind {
        bench = bench.env_hidden("POSEMESH_VALGRIND", valgrind()?);
    }
    if wanted.curl && !Cmd::new("curl").arg("--version").works() {
        debian::install_curl().context("install curl, which storage is compared with")?;
    }
    Ok(bench)
}

/// Builds the code of the runner that is compared with its component.
fn native(project: &Project, profile: &str) -> Result<PathBuf> {
    let mut cargo = project.cargo("build").args(["-p", "pointcloud", "--example", "timed"]);
    if profile == "release" {
        cargo = cargo.arg("--release");
    }
    cargo.run()?;
    Ok(project.target.join(profile).join("examples").join(executable("timed")))
}

/// Builds the program that calls Extism, in a workspace and target directory of its own.
fn extism(project: &Project) -> Result<PathBuf> {
    let target = project.target.join("extism");
    let program = target.join("release").join(executable("extism-peer"));
    progress::announce(&EXTISM, program.exists());
    Cmd::cargo()
        .dir(&project.root)
        .args(["build", "--locked", "--release", "--manifest-path"])
        .arg(project.extism_manifest())
        .env_hidden("CARGO_TARGET_DIR", &target)
        .cure("if its dependencies were changed: `cargo update` in bench/extism, and commit Cargo.lock")
        .run()?;
    Ok(program)
}

/// Valgrind, which counts instructions: installed with apt-get where there is none.
fn valgrind() -> Result<&'static str> {
    let works = || Cmd::new("valgrind").arg("--version").works();
    if !works() {
        debian::install_valgrind().context("install Valgrind, which counts instructions")?;
    }
    Ok("valgrind")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_says_what_has_to_be_built() {
        let all = Wanted::by(&[]);
        assert_eq!(all, Wanted::by(&["all"]));
        assert_eq!(all, Wanted::by(&["--largest", "1MiB"]));
        assert!(all.node && all.reference && all.simulation && all.extism && !all.valgrind);
        assert_eq!(all.profile, "release");
        let short = Wanted::by(&["all", "--short"]);
        assert_eq!((short.profile, short.reference, short.extism), ("debug", true, false));
        let counts = Wanted::by(&["instructions", "--renew"]);
        assert_eq!(
            (counts.profile, counts.valgrind, counts.simulation, counts.reference),
            ("debug", true, true, false)
        );
        let some = Wanted::by(&["all", "--only", "tasks,fleet"]);
        assert!(some.reference && some.simulation && !some.extism && !some.native && !some.curl);
        let tasks = Wanted::by(&["tasks", "--tasks", "7"]);
        assert!(tasks.node && tasks.reference && !tasks.simulation && !tasks.extism);
        for words in [&["document"][..], &["storage", "--help"]] {
            let wanted = Wanted::by(words);
            assert_eq!(wanted.profile, "debug", "{words:?}");
            assert!(!wanted.node && !wanted.reference && !wanted.simulation && !wanted.extism, "{words:?}");
        }
    }
}
