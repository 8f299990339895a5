//! Tools that `cargo install` puts below the target directory.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::process::Cmd;
use crate::project::{Project, executable};

/// The path of the tool `name` in exactly `version`, installed with `flags` unless it is there already.
///
/// # Errors
/// If the tool can't be installed.
pub(crate) fn installed(project: &Project, name: &str, version: &str, flags: &[&str]) -> Result<PathBuf> {
    let tools = project.target.join("tools");
    // Some packages are called after their program, and some have `-cli` behind it.
    let program = tools.join("bin").join(executable(name.trim_end_matches("-cli")));
    if Cmd::new(&program).arg("--version").output().is_ok_and(|v| v == format!("{name} {version}")) {
        return Ok(program);
    }
    eprintln!("installing {name} {version} into {} (once, about 2 minutes)", project.short(&tools));
    // Without optimisation: the tool runs for a second, and an optimised build takes several times as long.
    Cmd::cargo()
        .dir(&project.root)
        .args(["install", name, "--locked", "--debug", "--force"])
        .args(flags)
        .arg(format!("--version={version}"))
        .arg("--root")
        .arg(&tools)
        .env_hidden("CARGO_PROFILE_DEV_DEBUG", "false")
        // `cargo install` then builds in a temporary directory.
        .env_remove("CARGO_TARGET_DIR")
        .run()
        .with_context(|| format!("install {name}"))?;
    Ok(program)
}
