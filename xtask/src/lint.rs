//! The checks that run nothing of ours: format, lints, documentation, dependencies.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::Cmd;
use crate::project::Project;
use crate::report::Report;

/// The version of cargo-deny: a newer one may judge differently.
const CARGO_DENY: &str = "0.20.2";

/// How long rustup may take to fetch a component.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// Format, clippy and rustdoc; a warning is a failure.
pub fn lint(project: &Project, report: &mut Report) {
    report.step("format", || {
        component("rustfmt", "fmt")?;
        let cure = "run `cargo fmt --all`";
        project.cargo("fmt").args(["--all", "--check"]).cure(cure).run()?;
        for manifest in [project.test_guests_manifest(), project.reference_manifest()] {
            let cure = format!("run `cargo fmt --manifest-path {}`", project.short(&manifest));
            project.cargo("fmt").arg("--manifest-path").arg(&manifest).arg("--check").cure(cure).run()?;
        }
        Ok(())
    });
    report.step("clippy", || {
        component("clippy", "clippy")?;
        project.cargo("clippy").args(["--workspace", "--all-targets", "--", "-D", "warnings"]).run()
    });
    report.step("rustdoc", || {
        // With the private items: a link between them that leads nowhere is found too.
        project
            .cargo("doc")
            .args(["--workspace", "--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links")
            .run()
    });
}

/// Licences, sources and duplicates of the dependencies, as deny.toml allows them. Not the advisories:
/// their database is fetched from a host that not every machine can reach.
///
/// # Errors
/// If cargo-deny can't be installed or finds something.
pub fn deny(project: &Project) -> Result<()> {
    let cargo_deny = cargo_deny(project)?;
    Cmd::new(cargo_deny)
        .dir(&project.root)
        .args(["check", "bans", "licenses", "sources"])
        .cure("see the comments in deny.toml")
        .run()
}

/// The cargo-deny of [`CARGO_DENY`], installed below the target directory if it is not there.
fn cargo_deny(project: &Project) -> Result<PathBuf> {
    let tools = project.target.join("tools");
    let program = tools.join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    if Cmd::new(&program).arg("--version").output().is_ok_and(|v| v == format!("cargo-deny {CARGO_DENY}")) {
        return Ok(program);
    }
    eprintln!("installing cargo-deny {CARGO_DENY} into {} (once, about 2 minutes)", project.short(&tools));
    // Without optimisation: it checks for a second, and an optimised build takes several times as long.
    Cmd::cargo()
        .dir(&project.root)
        .args(["install", "cargo-deny", "--locked", "--no-default-features", "--debug", "--force"])
        .arg(format!("--version={CARGO_DENY}"))
        .arg("--root")
        .arg(&tools)
        .env_quietly("CARGO_PROFILE_DEV_DEBUG", "false")
        // Built in a folder of its own that cargo takes away afterwards.
        .env_remove("CARGO_TARGET_DIR")
        .run()
        .context("install cargo-deny, which checks the dependencies")?;
    Ok(program)
}

/// Makes sure of the toolchain's component `name`, which brings `cargo SUBCOMMAND`.
fn component(name: &str, subcommand: &str) -> Result<()> {
    if Cmd::cargo().args([subcommand, "--version"]).works() {
        return Ok(());
    }
    Cmd::new("rustup")
        .args(["component", "add", name])
        .limit(RUSTUP_LIMIT)
        .cure(format!("`cargo {subcommand}` is missing: install {name} for the active toolchain"))
        .run()
}
