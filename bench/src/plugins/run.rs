//! Time of one task of a runner that does nothing, next to what wasmtime alone takes to instantiate it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use posemesh_plugin_host::registry::Generation;
use posemesh_runner_api::runner::Runner as _;
use posemesh_tests::plugin;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};

use crate::plugins::setup::{load, loader, smallest};
use crate::ports::call;
use crate::report::progress;
use crate::results::{Figure, Table, Unit};

/// Runs before the first that is measured.
const WARM_UP: usize = 200;

/// Measures the smallest runner and `noop`.
pub(crate) async fn measure(runs: usize) -> Result<Table> {
    progress("a task that does nothing");
    let dir = tempfile::tempdir().context("creating a folder")?;
    let loader = loader(Some(dir.path().join("cache"))).await?;
    let small = smallest(dir.path())?;
    let mut table = Table::new("run", "A task that does nothing, one after the other")
        .sides("what")
        .column("time", Unit::Seconds)
        .column("99 % within", Unit::Seconds);
    let mut row = |what: &str, times: Vec<Duration>| {
        table.row(what, None, [Some(Figure::of_times(&times)), Some(Figure::slowest(&times))]);
    };
    let alone = wasmtime_alone(&small, runs).await.map_err(|error| anyhow::anyhow!("{error:#}"))?;
    row("wasmtime alone: store and instance of the smallest component", alone);
    let generation = load(&loader, &small).await?;
    row(
        "the host, smallest runner: limits, process, store, instance, run, drop",
        times(&generation, dir.path(), runs).await?,
    );
    let noop = load(&loader, &plugin("noop")).await?;
    row("the same, `noop` (Rust, WASI, three progress reports)", times(&noop, dir.path(), runs).await?);
    Ok(table)
}

/// Without the host: an instance with those settings of the host's that decide its cost.
pub(crate) async fn wasmtime_alone(path: &Path, runs: usize) -> wasmtime::Result<Vec<Duration>> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    let engine = Engine::new(&config)?;
    let component = Component::from_file(&engine, path)?;
    let linker: Linker<()> = Linker::new(&engine);
    let pre = linker.instantiate_pre(&component)?;
    let mut times = Vec::with_capacity(runs);
    for at in 0..WARM_UP + runs {
        let began = Instant::now();
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        pre.instantiate_async(&mut store).await?;
        drop(store);
        if at >= WARM_UP {
            times.push(began.elapsed());
        }
    }
    Ok(times)
}

async fn times(generation: &Generation, dir: &Path, runs: usize) -> Result<Vec<Duration>> {
    let capability = generation.description.capabilities.first().context("a capability")?;
    let mut times = Vec::with_capacity(runs);
    for at in 0..WARM_UP + runs {
        // The node creates this directory for each task, below `WORK_DIR`.
        let work = tempfile::tempdir_in(dir).context("creating a folder")?;
        let call = call(capability, 0, work.path());
        let began = Instant::now();
        generation.run(call).await?;
        if at >= WARM_UP {
            times.push(began.elapsed());
        }
    }
    Ok(times)
}
