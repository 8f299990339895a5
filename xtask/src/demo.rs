//! `demo`: builds what the demo needs and becomes it.

use std::env;
use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;

use crate::guests;
use crate::node;
use crate::process::Cmd;
use crate::project::Project;
use crate::setup;

/// The scan that the demo works on unless another is given.
const DEFAULT_SCAN: &str = "tests/data/dragon/dragon_vrip_res3.ply.gz";

/// Becomes `posemesh-node demo`, with `args` and defaults for the paths that `args` leave open. Returns only
/// an error.
pub(crate) fn demo(project: &Project, args: &[OsString]) -> Result<()> {
    let toolchain = setup::toolchain()?;
    guests::runners(project, &toolchain)?;
    node::build(project)?;
    let here = env::current_dir().unwrap_or_default();
    Err(Cmd::new(project.node()).args(demo_args(project, &here, args)).exec())
}

/// The node's arguments for the demo. The default paths are written relative to `here`, where they are below
/// it.
fn demo_args(project: &Project, here: &Path, args: &[OsString]) -> Vec<OsString> {
    let defaults = [
        ("--plugins-dir", project.plugins()),
        ("--out", project.root.join("demo-output")),
        ("--scan", project.root.join(DEFAULT_SCAN)),
    ];
    let mut all = vec![OsString::from("demo")];
    for (option, path) in defaults {
        if !is_given(option, args) {
            all.push(option.into());
            all.push(path.strip_prefix(here).unwrap_or(&path).into());
        }
    }
    all.extend(args.iter().cloned());
    all
}

/// Whether `option` is in `args`, as `--option value` or as `--option=value`.
fn is_given(option: &str, args: &[OsString]) -> bool {
    args.iter()
        .filter_map(|arg| arg.to_str())
        .any(|arg| arg.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn args(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_demo_fills_in_what_is_not_given() {
        let project = Project { root: PathBuf::from("/repo"), target: PathBuf::from("/repo/target") };
        let here = Path::new("/repo");
        assert_eq!(
            demo_args(&project, here, &args(&["--scan", "my.ply", "-v"])),
            args(&[
                "demo",
                "--plugins-dir",
                "target/plugins",
                "--out",
                "demo-output",
                "--scan",
                "my.ply",
                "-v"
            ])
        );
        assert_eq!(
            demo_args(&project, Path::new("/else"), &args(&["--scan=x", "--out", "y", "--plugins-dir=z"])),
            args(&["demo", "--scan=x", "--out", "y", "--plugins-dir=z"])
        );
    }

    #[test]
    fn an_option_that_only_begins_the_same_is_another() {
        assert!(is_given("--out", &args(&["--out=x"])));
        assert!(!is_given("--out", &args(&["--output-format", "out"])));
    }
}
