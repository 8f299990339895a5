//! The checks that run nothing of ours: format, lints, documentation, dependencies.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::Cmd;
use crate::project::Project;
use crate::report::Report;
use crate::tool;

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
        let others = [project.test_guests_manifest(), project.reference_manifest(), project.fuzz_manifest()];
        for manifest in others {
            let cure = format!("run `cargo fmt --manifest-path {}`", project.short(&manifest));
            project.cargo("fmt").arg("--manifest-path").arg(&manifest).arg("--check").cure(cure).run()?;
        }
        Ok(())
    });
    report.step("clippy", || {
        component("clippy", "clippy")?;
        project.cargo("clippy").args(["--workspace", "--all-targets", "--", "-D", "warnings"]).run()
    });
    // Not clippy: the suites of domain-data include all of it but the targets, which are a line each.
    report.step("fuzz targets' lock file", || {
        let cargo = Cmd::cargo().dir(&project.root).args(["tree", "--locked", "--manifest-path"]);
        let cure = "`cargo update --workspace` in host/domain-data/fuzz, and commit Cargo.lock";
        cargo.arg(project.fuzz_manifest()).cure(cure).output().map(|_| ())
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
    let cargo_deny = tool::installed(project, "cargo-deny", CARGO_DENY, &["--no-default-features"])
        .context("cargo-deny checks the dependencies")?;
    Cmd::new(cargo_deny)
        .dir(&project.root)
        .args(["check", "bans", "licenses", "sources"])
        .cure("see the comments in deny.toml")
        .run()
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
