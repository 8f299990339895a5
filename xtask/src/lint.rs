//! `lint` and `deny`: checks of the sources and manifests. Nothing that is checked is run.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::advisories;
use crate::features;
use crate::layers;
use crate::process::Cmd;
use crate::project::{FUZZ, Project};
use crate::report::Report;
use crate::structure;
use crate::tool;

/// The version of cargo-deny; a newer one may judge differently.
const CARGO_DENY: &str = "0.20.2";

/// Time limit for the download of a component by rustup.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// Format, structure, clippy and rustdoc; a warning is a failure.
pub(crate) fn lint(project: &Project, report: &mut Report) {
    report.step("format", || {
        component("rustfmt", "fmt")?;
        let cure = "run `cargo fmt --all`";
        project.cargo("fmt").args(["--all", "--check"]).cure(cure).run()?;
        let others =
            [project.test_guests_manifest(), project.reference_manifest(), project.extism_manifest()];
        for manifest in others.into_iter().chain(project.fuzz_manifests()) {
            let cure = format!("run `cargo fmt --manifest-path {}`", project.short(&manifest));
            project.cargo("fmt").arg("--manifest-path").arg(&manifest).arg("--check").cure(cure).run()?;
        }
        Ok(())
    });
    structure(project, report);
    report.step("clippy", || {
        component("clippy", "clippy")?;
        project.cargo("clippy").args(["--workspace", "--all-targets", "--", "-D", "warnings"]).run()
    });
    // The workspace always has the binary with the devnet: without it nothing else would notice a mistake.
    report.step("clippy without the devnet", || {
        let binary = ["-p", "posemesh-node", "--no-default-features", "--all-targets"];
        project.cargo("clippy").args(binary).args(["--", "-D", "warnings"]).run()
    });
    report.step("rustdoc", || {
        // With the private items, so that broken links between them are found too.
        project
            .cargo("doc")
            .args(["--workspace", "--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links")
            .run()
    });
}

/// Checks between crates and between files. They take seconds, because nothing is compiled.
pub(crate) fn structure(project: &Project, report: &mut Report) {
    // No clippy of the fuzz targets: the tests of their crates include nearly all of their code.
    report.step("lock files of other workspaces", || {
        let extism = (&"bench/extism", project.extism_manifest());
        FUZZ.iter().zip(project.fuzz_manifests()).chain([extism]).try_for_each(|(folder, manifest)| {
            let cargo = Cmd::cargo().dir(&project.root).args(["tree", "--locked", "--manifest-path"]);
            let cure = format!("`cargo update --workspace` in {folder}, and commit Cargo.lock");
            cargo.arg(manifest).cure(cure).output().map(|_| ())
        })
    });
    report.step("layers", || layers::check(project));
    report.step("features", || features::check(project));
    report.step("circles", || structure::no_circles(project));
    report.step("module style", || structure::one_module_style(project));
}

/// Licences, sources and duplicates of the dependencies, as deny.toml allows them, and the advisories against them if
/// their database can be had.
///
/// # Errors
/// If cargo-deny can't be installed or reports a problem.
pub(crate) fn deny(project: &Project) -> Result<()> {
    let cargo_deny = tool::installed(project, "cargo-deny", CARGO_DENY, &["--no-default-features"])
        .context("cargo-deny checks the dependencies")?;
    Cmd::new(&cargo_deny)
        .dir(&project.root)
        .args(["check", "bans", "licenses", "sources"])
        .cure("see the comments in deny.toml")
        .run()?;
    advisories::check(project, &cargo_deny)
}

/// Installs the toolchain's component `name`, which provides `cargo SUBCOMMAND`, unless it is there.
fn component(name: &str, subcommand: &str) -> Result<()> {
    if Cmd::cargo().args([subcommand, "--version"]).works() {
        return Ok(());
    }
    Cmd::new("rustup")
        .args(["component", "add", name])
        .time_limit(RUSTUP_LIMIT)
        .cure(format!("`cargo {subcommand}` is missing: install {name} for the active toolchain"))
        .run()
}
