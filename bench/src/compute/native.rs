//! The code of the runner `pointcloud`, built for the machine: an example of its crate, which is a program of its own, so that the
//! bench does not depend on runners.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

/// Says where that program is.
const PROGRAM: &str = "POSEMESH_NATIVE_POINTCLOUD_BIN";

/// How many nanoseconds a run took, and each stage of it.
#[derive(Deserialize)]
pub(super) struct Run {
    took: u64,
    stages: Vec<(String, u64)>,
}

impl Run {
    pub(super) fn took(&self) -> Duration {
        Duration::from_nanos(self.took)
    }

    pub(super) fn stages(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.stages.iter().map(|(name, took)| (name.as_str(), Duration::from_nanos(*took)))
    }
}

/// Runs it on a scan, in a file that it reads beforehand. The first run of its process, which touches its memory, does not
/// count: a component finds memory that the node has had before.
///
/// # Errors
/// If nobody says where it is, or it fails.
pub(super) fn run(scan: &Path) -> Result<Run> {
    let program = std::env::var_os(PROGRAM).map(PathBuf::from).with_context(|| {
        format!("{PROGRAM} is not set: it names a program; start the bench with `cargo xtask bench`")
    })?;
    let output = Command::new(&program)
        .arg(scan)
        .arg("2")
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("running {}", program.display()))?;
    ensure!(output.status.success(), "{} failed: {}", program.display(), output.status);
    let runs: Vec<Run> = serde_json::from_slice(&output.stdout).context("reading what it prints")?;
    runs.into_iter().last().context("it ran not once")
}
