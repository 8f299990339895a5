//! `simulate`: builds the simulation of the control plane and becomes it.

use anyhow::Result;

use crate::process::Cmd;
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
pub(crate) fn simulate(project: &Project, seeds: &Seeds, optimised: bool) -> Result<()> {
    Err(build(project, seeds, optimised)?.exec())
}

/// Builds `posemesh-simulate` and runs so many seeds.
///
/// # Errors
/// If it does not compile, or an invariant does not hold.
pub(crate) fn run(project: &Project, seeds: u64) -> Result<()> {
    build(project, &Seeds { seeds, from: 0, seed: None, trace: false }, false)?.run()
}

/// Builds the program. Returns the command that runs it.
fn build(project: &Project, seeds: &Seeds, optimised: bool) -> Result<Cmd> {
    // The profile of the tests: its dependencies are there already, and a seed takes milliseconds in it.
    let mut cargo = project.cargo("build").args(["-p", "posemesh-node-core", "--features", "simulation"]);
    cargo = cargo.args(["--bin", "posemesh-simulate"]);
    let folder = if optimised {
        cargo = cargo.args(["--profile", "simulation"]);
        project.simulation()
    } else {
        project.debug()
    };
    cargo.run()?;
    let mut command = Cmd::new(folder.join("posemesh-simulate"));
    command = match seeds.seed {
        Some(seed) => command.args(["--seed", &seed.to_string()]),
        None => command.args(["--seeds", &seeds.seeds.to_string(), "--from", &seeds.from.to_string()]),
    };
    if seeds.trace {
        command = command.arg("--trace");
    }
    Ok(command)
}
