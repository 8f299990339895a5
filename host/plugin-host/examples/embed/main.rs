//! A program of its own that hosts a runner: loads the `.wasm` file that it is given, runs one task on it with
//! ports in memory, and prints the artifacts.
//!
//! ```text
//! cargo run -p posemesh-plugin-host --example embed -- RUNNER.wasm [FILE...]
//! ```

mod ports;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use posemesh_plugin_host::load::{Loader, LoaderSettings, RunnerEngine};
use posemesh_plugin_host::manifest::Policy;
use posemesh_plugin_host::registry::Generation;
use posemesh_plugin_host::run_child_if_asked;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::ports::OutputPort as _;
use posemesh_runner_api::reports::{ReportLimits, Reports};
use posemesh_runner_api::runner::{Runner as _, RunnerCall};
use posemesh_runner_api::task::Task;
use uuid::Uuid;

use crate::ports::{MemoryInputs, MemoryOutputs};

fn main() -> anyhow::Result<ExitCode> {
    // Runners are compiled, and run, in processes of their own, which are this program once more.
    if let Some(code) = run_child_if_asked() {
        return Ok(code);
    }
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let component = arguments.next().context("usage: embed RUNNER.wasm [FILE...]")?;
    tokio::runtime::Runtime::new()?.block_on(run(component, arguments.collect()))
}

async fn run(component: PathBuf, files: Vec<PathBuf>) -> anyhow::Result<ExitCode> {
    let loader = Loader::open(RunnerEngine::new()?, LoaderSettings::default()).await?;
    let runner = Generation::load(&loader, &component, 1, &Policy::default(), &|_| None, &|_| ()).await?;
    let capability = runner.description.capabilities.first().context("it serves no capability")?;

    let inputs = MemoryInputs::read(&files)?;
    let mut task = Task::new(Uuid::from_u128(1), capability.clone());
    task.inputs_cids = inputs.cids();
    let (outputs, directory) = (Arc::new(MemoryOutputs::default()), tempfile::tempdir()?);
    let call = RunnerCall {
        task,
        inputs: Arc::new(inputs),
        outputs: outputs.clone(),
        reports: Reports::new(ReportLimits::default()),
        disk: TaskDisk::new(directory.path()),
        log_file: None,
    };
    runner.run(call).await?;
    for artifact in outputs.finished() {
        println!("{}: {} bytes of type {}", artifact.logical_path, artifact.size, artifact.data_type);
    }
    Ok(ExitCode::SUCCESS)
}
