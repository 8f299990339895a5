//! Tries what `posemesh-node plugin new` writes, as an author would: its own tests, a build, its test cases.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::process::Cmd;
use crate::project::Project;
use crate::setup::{TARGET, Toolchain};

/// The name of the projects that are made.
const NAME: &str = "made-by-new";

/// The project in Rust. Its lock file names versions that this workspace has, so nothing is downloaded.
///
/// # Errors
/// If it can't be made, does not build, or fails its tests or cases.
pub(crate) fn rust(project: &Project, toolchain: &Toolchain) -> Result<()> {
    let folder = made(project, "rust")?;
    let target = project.target.join("templates/target-rust");
    let cargo = |command: &str| {
        Cmd::cargo()
            .arg(command)
            .dir(&folder)
            // As for the runners in `plugins/`.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_hidden("CARGO_TARGET_DIR", &target)
    };
    cargo("test").arg("--locked").run()?;
    cargo("clippy").args(["--locked", "--all-targets", "--", "-D", "warnings"]).run()?;
    let build = cargo("build").args(["--locked", "--release", "--target", TARGET]);
    match toolchain {
        Toolchain::Active => build.run()?,
        Toolchain::Debian(debian) => debian.apply(build, "")?.run()?,
    }
    let component = target.join(TARGET).join("release").join(format!("{}.wasm", NAME.replace('-', "_")));
    cases(project, &component, &folder)
}

/// The project in Python.
///
/// # Errors
/// As [`rust`].
pub(crate) fn python(project: &Project, componentize: &Path) -> Result<()> {
    let folder = made(project, "python")?;
    Cmd::new("python3").args(["-m", "unittest"]).dir(&folder).run()?;
    let component = folder.join(format!("{}.wasm", NAME.replace('-', "_")));
    Cmd::new(componentize)
        .args(["-d", "wit", "-w", "runner", "componentize", "app", "-o"])
        .arg(&component)
        .dir(&folder)
        .run()?;
    cases(project, &component, &folder)
}

/// The project in JavaScript.
///
/// # Errors
/// As [`rust`].
pub(crate) fn javascript(project: &Project, componentize: &Path) -> Result<()> {
    let folder = made(project, "js")?;
    Cmd::new("node").arg("--test").dir(&folder).run()?;
    let component = folder.join(format!("{}.wasm", NAME.replace('-', "_")));
    // What `npm run build` runs.
    Cmd::new(componentize)
        .args(["--wit", "wit", "--world", "runner", "--module-root", ".", "--js", "main.js", "--sync"])
        .arg("--output")
        .arg(&component)
        .dir(&folder)
        .run()?;
    cases(project, &component, &folder)
}

/// The project in TypeScript; `modules` is the folder `node_modules` of its packages.
///
/// # Errors
/// As [`rust`].
pub(crate) fn typescript(project: &Project, modules: &Path) -> Result<()> {
    let folder = made(project, "ts")?;
    let link = folder.join("node_modules");
    std::os::unix::fs::symlink(modules, &link).with_context(|| format!("link {}", link.display()))?;
    for script in ["test", "build"] {
        Cmd::new("npm").args(["run", script]).dir(&folder).run()?;
    }
    cases(project, &folder.join(format!("{}.wasm", NAME.replace('-', "_"))), &folder)
}

/// The project in `c` or `go`; `tools` is the folder with its compiler.
///
/// # Errors
/// As [`rust`].
pub(crate) fn made_with_make(project: &Project, language: &str, tools: &Path) -> Result<()> {
    let folder = made(project, language)?;
    let component = format!("{}.wasm", NAME.replace('-', "_"));
    make(project, tools, &folder, "test").run()?;
    make(project, tools, &folder, &component).run()?;
    cases(project, &folder.join(component), &folder)
}

/// Makes a target of a project with a Makefile; `tools` is the folder with its compiler.
pub(crate) fn make(project: &Project, tools: &Path, folder: &Path, target: &str) -> Cmd {
    // What a compiler builds of its own library stays for the next time.
    let cache = project.target.join("languages/cache");
    Cmd::new("make")
        .arg(target)
        .dir(folder)
        .env_hidden("TOOLS", tools)
        .env_hidden("ZIG_GLOBAL_CACHE_DIR", &cache)
        .env_hidden("ZIG_LOCAL_CACHE_DIR", &cache)
        .env_hidden("GOCACHE", &cache)
}

/// The folder of a new project.
fn made(project: &Project, language: &str) -> Result<PathBuf> {
    let folder = project.target.join("templates").join(language);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    Cmd::new(project.node()).args(["plugin", "new", NAME, "--lang", language, "--dir"]).arg(&folder).run()?;
    Ok(folder)
}

/// Runs the test cases in a folder.
pub(crate) fn cases(project: &Project, component: &Path, folder: &Path) -> Result<()> {
    Cmd::new(project.node()).args(["plugin", "test"]).arg(component).arg(folder.join("cases")).run()
}
