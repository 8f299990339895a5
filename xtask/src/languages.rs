//! Toolchains of other languages than Rust, for our runners in them and for what `plugin new` writes: each in a folder of its own
//! below the target directory, in the version that the template names, and installed once.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;

use crate::debian;
use crate::process::Cmd;
use crate::project::Project;

/// Time limit for one installation: some 100 MB are downloaded.
const INSTALL_LIMIT: Duration = Duration::from_secs(600);
/// What an installed toolchain was installed from; written last.
const STAMP: &str = "installed-from";

/// What happens when a toolchain can't be had.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// It is an error: CI has to try everything.
    Required,
    /// It is said, and what needs it is left out.
    Optional,
}

impl Need {
    /// The toolchain, or none with a word about what is left out.
    ///
    /// # Errors
    /// If it is required and not there.
    fn settle(self, language: &str, found: Result<PathBuf>) -> Result<Option<PathBuf>> {
        match (found, self) {
            (Ok(path), _) => {
                eprintln!("setup: {language} from {}", path.display());
                Ok(Some(path))
            }
            (Err(error), Self::Required) => Err(error.context(format!("find a toolchain for {language}"))),
            (Err(error), Self::Optional) => {
                eprintln!("setup: SKIPPED, no toolchain for {language}: {error:#}");
                Ok(None)
            }
        }
    }
}

/// `componentize-py`.
///
/// # Errors
/// If it is required, and neither there nor to be installed.
pub(crate) fn python(project: &Project, need: Need) -> Result<Option<PathBuf>> {
    let found = environment(project, "python");
    need.settle("Python", found.map(|folder| folder.join("bin/componentize-py")))
}

/// The folder with a C compiler and wasm-tools, which the template's Makefile calls `TOOLS`.
///
/// # Errors
/// As [`python`].
pub(crate) fn c(project: &Project, need: Need) -> Result<Option<PathBuf>> {
    need.settle("C", environment(project, "c").and_then(with_make))
}

/// The folder with Go and wasm-tools, which the template's Makefile calls `TOOLS`.
///
/// # Errors
/// As [`python`].
pub(crate) fn go(project: &Project, need: Need) -> Result<Option<PathBuf>> {
    need.settle("Go", environment(project, "go").and_then(with_make))
}

/// The folder, once there is `make` as well.
fn with_make(folder: PathBuf) -> Result<PathBuf> {
    if !Cmd::new("make").arg("--version").works() {
        debian::install_make().context("there is no `make`\n  what helps: install it")?;
    }
    Ok(folder)
}

/// A virtual environment with what the template of a language names in requirements.txt.
fn environment(project: &Project, language: &str) -> Result<PathBuf> {
    let requirements = project.root.join("sdk/templates").join(language).join("requirements.txt");
    let folder = project.target.join("languages").join(language);
    installed(&folder, &requirements, || {
        let cure =
            "install Python 3.10 or newer with its module venv (Debian: `apt-get install python3-venv`)";
        Cmd::new("python3").args(["-m", "venv"]).arg(&folder).cure(cure).run()?;
        Cmd::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "--no-compile", "--requirement"])
            .arg(&requirements)
            .time_limit(INSTALL_LIMIT)
            .cure("the package index can't be reached, or has no wheel for this machine")
            .run()
    })?;
    Ok(folder)
}

/// `componentize-qjs`.
///
/// # Errors
/// As [`python`].
pub(crate) fn javascript(project: &Project, need: Need) -> Result<Option<PathBuf>> {
    let found = packages(project, "js");
    need.settle("JavaScript", found.map(|folder| folder.join(".bin/componentize-qjs")))
}

/// The folder `node_modules` with `componentize-qjs`, `tsc` and the types that they need.
///
/// # Errors
/// As [`python`].
pub(crate) fn typescript(project: &Project, need: Need) -> Result<Option<PathBuf>> {
    need.settle("TypeScript", packages(project, "ts"))
}

/// The folder `node_modules` with what the template of a language names in its lock file.
fn packages(project: &Project, language: &str) -> Result<PathBuf> {
    let template = project.root.join("sdk/templates").join(language);
    let folder = project.target.join("languages").join(language);
    installed(&folder, &template.join("package-lock.json"), || {
        for name in ["package.json", "package-lock.json"] {
            let to = folder.join(name);
            fs::copy(template.join(name), &to).with_context(|| format!("write {}", to.display()))?;
        }
        Cmd::new("npm")
            .args(["ci", "--no-audit", "--no-fund"])
            .dir(&folder)
            .time_limit(INSTALL_LIMIT)
            .cure("install Node.js 20 or newer; or the package registry can't be reached")
            .run()
    })?;
    Ok(folder.join("node_modules"))
}

/// The file that turns WASI 0.1, which C and Go speak, into WASI 0.2. `plugin new` writes the same into its projects.
///
/// # Errors
/// If it can't be written.
pub(crate) fn adapter(project: &Project) -> Result<PathBuf> {
    let file = project.target.join("languages/wasi_snapshot_preview1.reactor.wasm");
    // Left alone if it is the same: make builds anew what is older than it.
    if !fs::read(&file).is_ok_and(|found| found == WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER) {
        fs::write(&file, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
            .with_context(|| format!("write {}", file.display()))?;
    }
    Ok(file)
}

/// Makes sure that a folder has what `from`, a file with pinned versions, names.
fn installed(folder: &Path, from: &Path, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let wanted = fs::read_to_string(from).with_context(|| format!("read {}", from.display()))?;
    let stamp = folder.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    install()?;
    fs::write(&stamp, wanted).with_context(|| format!("write {}", stamp.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_toolchain_is_installed_once_for_each_version_and_a_failed_one_again() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, from) = (dir.path().join("tool"), dir.path().join("pinned"));
        let mut count = 0;
        let mut run = |version: &str, works: bool| {
            fs::write(&from, version).unwrap();
            let _ = installed(&folder, &from, || {
                count += 1;
                if works { Ok(()) } else { anyhow::bail!("no network") }
            });
            count
        };
        assert_eq!(run("1", false), 1);
        assert_eq!(run("1", true), 2, "what failed is tried again");
        assert_eq!(run("1", true), 2, "what is there is kept");
        assert_eq!(run("2", true), 3, "another version is installed anew");
    }

    #[test]
    fn a_toolchain_that_is_missing_is_an_error_only_where_it_is_required() {
        let missing = || Err(anyhow::anyhow!("no python3"));
        assert!(Need::Optional.settle("Python", missing()).unwrap().is_none());
        let error = format!("{:#}", Need::Required.settle("Python", missing()).unwrap_err());
        assert!(error.contains("Python") && error.contains("no python3"), "{error}");
    }
}
