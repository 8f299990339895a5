//! Programs that cargo installs for us, below the target directory.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::process::Cmd;
use crate::project::{Project, executable};

/// The program `name` of exactly `version`, installed with `flags` if it is not there.
///
/// # Errors
/// If it can't be installed.
pub fn installed(project: &Project, name: &str, version: &str, flags: &[&str]) -> Result<PathBuf> {
    let tools = project.target.join("tools");
    let program = tools.join("bin").join(executable(name));
    if Cmd::new(&program).arg("--version").output().is_ok_and(|v| v == format!("{name} {version}")) {
        return Ok(program);
    }
    eprintln!("installing {name} {version} into {} (once, about 2 minutes)", project.short(&tools));
    // Without optimisation: it works for a second, and an optimised build takes several times as long.
    Cmd::cargo()
        .dir(&project.root)
        .args(["install", name, "--locked", "--debug", "--force"])
        .args(flags)
        .arg(format!("--version={version}"))
        .arg("--root")
        .arg(&tools)
        .env_quietly("CARGO_PROFILE_DEV_DEBUG", "false")
        // Built in a folder of its own that cargo takes away afterwards.
        .env_remove("CARGO_TARGET_DIR")
        .run()
        .with_context(|| format!("install {name}"))?;
    Ok(program)
}
