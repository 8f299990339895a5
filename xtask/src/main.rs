//! The project's development commands: `cargo xtask --help` lists them, and the Justfile has a recipe for each.
//!
//! They need nothing but cargo, so that one command builds, shows or tests a fresh clone.

mod advisories;
mod bench;
mod bindings;
mod debian;
mod demo;
mod deploy;
mod docs;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod excerpts;
mod features;
mod fuzz;
mod guests;
mod languages;
mod layers;
mod lint;
mod node;
mod output;
mod process;
mod progress;
mod project;
mod report;
mod runners;
mod sbom;
mod setup;
#[cfg(test)]
mod shell_blocks;
mod simulate;
mod structure;
mod suites;
mod templates;
mod testing;
mod tool;
mod transcripts;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use languages::Need;
use project::Project;
use report::Report;
use runners::Language;

/// Builds, tries and tests posemesh-node.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Make this machine able to build runners
    ///
    /// Looks for a Rust toolchain for wasm32-wasip2. If there is none, adds the target with rustup; if that
    /// fails, installs Debian's packages and uses their compiler. The other commands do this by themselves.
    /// POSEMESH_GUEST_TOOLCHAIN=rustup or =debian forces one of the two. Then installs toolchains of other languages, some
    /// 900 MB below target/languages; those that can't be had are said.
    Setup,
    /// Build every runner in plugins/ that is written in Rust into target/plugins/NAME.wasm
    Plugins {
        /// Also those in other languages, into target/language-plugins/NAME.wasm
        #[arg(long)]
        languages: bool,
    },
    /// Build all and run every test
    ///
    /// Builds the runners, the test guests, the node, the reference node and the reference domain client,
    /// then runs the tests of the workspace, several programs at a time, and the test cases of every runner.
    Test {
        /// More arguments for `cargo test`, for example the name of one test
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Build the runners of all languages and run the test cases of each (plugins/NAME/cases), and try what `plugin new` writes
    TestPlugins,
    /// See the node work: a local network, a node with all runners, and one scan through them
    ///
    /// Builds what is needed and becomes `posemesh-node demo`, which gets the arguments after `demo`;
    /// `cargo xtask demo -- --help` lists them.
    Demo {
        /// Arguments for `posemesh-node demo`, for example --scan FILE
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Measure everything into docs/benchmarks.md and bench/results.json, or print a part: `bench tasks`
    ///
    /// Builds in release mode and becomes `posemesh-bench`; `cargo xtask bench help` lists the parts. `bench all --short` only
    /// shows that everything can be measured; `bench instructions` counts what a regression would add to; `bench languages` builds
    /// what `plugin new` writes and runs it.
    Bench {
        /// Arguments for `posemesh-bench`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Check format, structure, clippy and rustdoc; a warning is a failure
    Lint,
    /// Check layers, features, import circles and module style: the part of `lint` that compiles nothing
    Structure,
    /// Write docs/configuration.md, docs/metrics.md and docs/transcripts.md, and the alert rules for Kubernetes
    ///
    /// From the node's tables of settings and metrics, from golden files of the tests, and from the rules for Prometheus.
    Docs {
        /// Fail if a file is not current, and write nothing
        #[arg(long)]
        check: bool,
    },
    /// Generate the bindings of the contract for runners in C and Go below sdk/ anew, after a change of wit/
    ///
    /// Installs wit-bindgen below the target directory the first time.
    Bindings,
    /// Check the dependencies' licences, sources and duplicates against deny.toml, and look for advisories
    ///
    /// Installs cargo-deny below the target directory the first time. The database of advisories is fetched if it can
    /// be; ADVISORY_DB=FOLDER names a clone of github.com/rustsec/advisory-db instead.
    Deny,
    /// Write what the release of the node is made of to target/release/posemesh-node.cdx.json (CycloneDX)
    Sbom,
    /// Build the node for production, without the devnet, and write its SBOM beside it; `plugins` builds runners
    Release,
    /// Check what lies in deploy/: alert rules, dashboard, systemd units, Kubernetes manifests (docs/deploy.md)
    ///
    /// With the tools that will read them. promtool and the schemas are fetched below the target directory the first time;
    /// what this machine has no tool for is said and skipped.
    Deploy,
    /// Make the root of the container image in target/container, try the node in it, and make the image if buildah is there
    Container {
        /// Take the node that `cargo xtask demo` builds instead of a release
        #[arg(long)]
        debug: bool,
    },
    /// Try the .deb and its unit under a real systemd: start, credentials, tasks, reload, stop, watchdog
    ///
    /// Fetches a small Debian into target/booted the first time and boots a copy of it with systemd-nspawn, without a network.
    /// Takes root, and installs debootstrap and systemd-container where they are missing. No part of `ci`.
    Booted {
        /// Take the node that `cargo xtask demo` builds instead of a release
        #[arg(long)]
        debug: bool,
    },
    /// Make packages in target/packages, install each into a folder and try it
    Package {
        /// The packages to make; all if none is given
        kinds: Vec<deploy::Kind>,
        /// Take the node that `cargo xtask demo` builds instead of a release
        #[arg(long)]
        debug: bool,
    },
    /// Fuzz what reads the bytes of strangers (docs/fuzzing.md)
    ///
    /// Installs cargo-fuzz below the target directory the first time. Corpora, logs and crashes are there too,
    /// in fuzz/TARGET.
    Fuzz {
        /// How long to run each target
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
        seconds: u64,
        /// The targets to run; all if none is given
        #[arg(value_name = "TARGET", value_parser = clap::builder::PossibleValuesParser::new(fuzz::TARGETS))]
        targets: Vec<String>,
    },
    /// Run the control plane on simulated servers with random faults (docs/simulation.md)
    ///
    /// Each seed is a run of whole nodes that is the same each time. A seed in which an invariant does not hold is
    /// printed with its trace.
    Simulate {
        /// How many seeds to run
        #[arg(long, default_value_t = 1000)]
        seeds: u64,
        /// The first seed
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Run this seed alone, twice, and print the end of its trace
        #[arg(long)]
        seed: Option<u64>,
        /// With --seed: print the whole trace
        #[arg(long, requires = "seed")]
        trace: bool,
    },
    /// Everything that must hold before a change goes in: test, simulate, bench --short, lint, docs --check, deny, deploy,
    /// package and container with the program of the tests
    Ci,
}

/// Seeds of the simulation that `ci` runs: half a minute on two cores.
const SIMULATED_SEEDS: u64 = 10_000;

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    let project = Project::find()?;
    let mut report = Report::default();
    match task {
        Task::Setup => {
            setup::toolchain()?;
            for language in Language::ALL {
                language.toolchain(&project, Need::Optional)?;
            }
            return languages::typescript(&project, Need::Optional).map(|_| ());
        }
        Task::Plugins { languages } => {
            let toolchain = setup::toolchain()?;
            guests::runners(&project, &toolchain)?;
            if !languages {
                return Ok(());
            }
            suites::language_runners(&project, &mut report, Need::Optional);
        }
        Task::Demo { args } => return demo::demo(&project, &args),
        Task::Bench { args } => return bench::bench(&project, &args),
        Task::Fuzz { seconds, targets } => return fuzz::fuzz(&project, &targets, seconds),
        Task::Simulate { seeds, from, seed, trace } => {
            return simulate::simulate(&project, &simulate::Seeds { seeds, from, seed, trace });
        }
        Task::Docs { check: true } => return docs::check(&project, node::build),
        Task::Docs { check: false } => return docs::write(&project),
        Task::Bindings => return bindings::write(&project),
        Task::Deny => return lint::deny(&project),
        Task::Sbom => return sbom::write(&project).map(|path| println!("{}", project.short(&path))),
        Task::Release => return sbom::release(&project),
        Task::Container { debug } => return deploy::container(&project, debug),
        Task::Booted { debug } => deploy::booted(&project, &mut report, debug)?,
        Task::Package { kinds, debug } => deploy::package(&project, &mut report, &kinds, debug),
        Task::Deploy => deploy::check(&project, &mut report),
        Task::Test { args } => suites::test(&project, &mut report, &args, Need::Optional),
        Task::TestPlugins => suites::test_plugins(&project, &mut report, Need::Optional),
        Task::Structure => lint::structure(&project, &mut report),
        Task::Lint => lint::lint(&project, &mut report),
        Task::Ci => {
            suites::test(&project, &mut report, &[], Need::Required);
            report.step("simulation", || simulate::run(&project, SIMULATED_SEEDS));
            report.step("bench, short", || bench::short(&project));
            report.step("instruction counts", || bench::instructions(&project));
            lint::lint(&project, &mut report);
            // The node that the tests were given: built alone, it would have other features, and take a minute more.
            report.step("docs", || docs::check(&project, node::build_with_tests));
            report.step("deny", || lint::deny(&project));
            deploy::check(&project, &mut report);
            deploy::made_of_the_tested(&project, &mut report);
        }
    }
    report.finish()
}
