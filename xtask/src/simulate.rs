//! `simulate`: builds the simulation of the control plane and becomes it.

use std::path::PathBuf;

use anyhow::Result;

use crate::process::Cmd;
use crate::progress::{self, SIMULATION};
use crate::project::Project;

/// Which seeds to run.
pub(crate) struct Seeds {
    /// How many.
    pub(crate) seeds: u64,
    /// The first one.
    pub(crate) from: u64,
    /// This one alone.
    pub(crate) seed: Option<u64>,
    /// Whether the whole trace of the one is printed.
    pub(crate) trace: bool,
}

/// Builds `posemesh-simulate` and becomes it. Returns only an error.
pub(crate) fn simulate(project: &Project, seeds: &Seeds) -> Result<()> {
    Err(build(project, seeds)?.exec())
}

/// Builds `posemesh-simulate` and runs so many seeds.
///
/// # Errors
/// If it does not compile, or an invariant does not hold.
pub(crate) fn run(project: &Project, seeds: u64) -> Result<()> {
    build(project, &Seeds { seeds, from: 0, seed: None, trace: false })?.run()
}

/// Builds the program. Returns the command that runs it.
fn build(project: &Project, seeds: &Seeds) -> Result<Cmd> {
    let mut command = Cmd::new(program(project)?);
    command = match seeds.seed {
        Some(seed) => command.args(["--seed", &seed.to_string()]),
        None => command.args(["--seeds", &seeds.seeds.to_string(), "--from", &seeds.from.to_string()]),
    };
    if seeds.trace {
        command = command.arg("--trace");
    }
    Ok(command)
}

/// Builds the program. Returns its path.
///
/// # Errors
/// If it does not compile.
pub(crate) fn program(project: &Project) -> Result<PathBuf> {
    let program = project.simulation();
    progress::announce(&SIMULATION, program.exists());
    // Without the plugin host, which the control plane does not know: nobody waits for wasmtime here.
    let features = ["--no-default-features", "--features", "simulation", "--profile", "simulation"];
    let cargo = project.cargo("build").args(["-p", "posemesh-node-core"]).args(features);
    cargo.args(["--bin", "posemesh-simulate"]).run()?;
    Ok(program)
}
