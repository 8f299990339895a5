//! Time of one task of a runner that does nothing, next to what wasmtime alone takes to instantiate it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use posemesh_plugin_host::registry::Generation;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::reports::{ReportLimits, Reports};
use posemesh_runner_api::runner::{Runner as _, RunnerCall};
use posemesh_runner_api::task::Task;
use posemesh_runner_cases::files::{FileInputs, FileOutputs};
use posemesh_tests::plugin;
use uuid::Uuid;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};

use crate::plugins::setup::{load, loader, smallest};
use crate::sample::Sample;

const RUNS: usize = 3000;
/// Runs before the first that is measured.
const WARM_UP: usize = 200;

/// Prints the table.
pub(crate) async fn measure() -> Result<()> {
    let dir = tempfile::tempdir().context("creating a folder")?;
    let loader = loader(Some(dir.path().join("cache"))).await?;
    let small = smallest(dir.path())?;
    println!("## A task that does nothing ({RUNS} runs, one after the other)\n");
    println!("| what | median | 99 % |\n| --- | ---: | ---: |");
    println!(
        "| wasmtime alone: store and instance of the smallest component | {} |",
        wasmtime_alone(&small).await.map_err(|error| anyhow::anyhow!("{error:#}"))?
    );
    let generation = load(&loader, &small).await?;
    println!(
        "| the host: directories, store, instance, run, drop, smallest runner | {} |",
        runs(&generation, dir.path()).await?
    );
    let noop = load(&loader, &plugin("noop")).await?;
    println!(
        "| the same, `noop` (Rust, WASI, three progress reports) | {} |",
        runs(&noop, dir.path()).await?
    );
    println!();
    Ok(())
}

/// Without the host: an instance with those settings of the host's that decide its cost.
async fn wasmtime_alone(path: &Path) -> wasmtime::Result<Sample> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    let engine = Engine::new(&config)?;
    let component = Component::from_file(&engine, path)?;
    let linker: Linker<()> = Linker::new(&engine);
    let pre = linker.instantiate_pre(&component)?;
    let mut times = Vec::with_capacity(RUNS);
    for at in 0..WARM_UP + RUNS {
        let began = Instant::now();
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        pre.instantiate_async(&mut store).await?;
        drop(store);
        if at >= WARM_UP {
            times.push(began.elapsed());
        }
    }
    Ok(Sample::new(times))
}

async fn runs(generation: &Generation, dir: &Path) -> Result<Sample> {
    let capability = generation.description.capabilities.first().context("a capability")?;
    let mut times = Vec::with_capacity(RUNS);
    for at in 0..WARM_UP + RUNS {
        // The node creates this directory for each task, below `WORK_DIR`.
        let work = tempfile::tempdir_in(dir).context("creating a folder")?;
        let call = call(capability, 0, work.path());
        let began = Instant::now();
        generation.run(call).await?;
        if at >= WARM_UP {
            times.push(began.elapsed());
        }
    }
    Ok(Sample::new(times))
}

/// A call with a task without inputs that asks for a sleep.
pub(crate) fn call(capability: &str, sleep_ms: u64, work_dir: &Path) -> RunnerCall {
    let mut task = Task::new(Uuid::new_v4(), capability);
    task.meta = serde_json::json!({ "sleep_ms": sleep_ms }).into();
    let id = task.id.to_string();
    RunnerCall {
        task,
        inputs: Arc::new(FileInputs::new(Default::default())),
        outputs: Arc::new(FileOutputs::new(work_dir.to_owned(), None, id)),
        reports: Reports::new(ReportLimits::default()),
        disk: TaskDisk::new(work_dir),
        log_file: None,
    }
}
