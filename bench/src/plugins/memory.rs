//! Resident memory of each live, idle runner, and of each run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use posemesh_runner_api::runner::Runner as _;
use posemesh_tests::versions::{Does, versioned};
use posemesh_tests::{NOOP, plugin};
use tokio::task::JoinSet;

use crate::memory::resident;
use crate::plugins::setup::{load, loader, smallest};
use crate::ports::call;
use crate::report::progress;
use crate::results::{Figure, Table, Unit};

/// Longer than the measurement takes.
const SLEEP_MS: u64 = 60_000;

/// Measures live runners, and twice as many runs.
pub(crate) async fn measure(many: u32) -> Result<Table> {
    progress("memory of runners and of runs");
    let mut table = Table::new("memory", "Resident memory of the process that holds them")
        .sides("of")
        .column("each", Unit::Bytes)
        .column("how many", Unit::Count);
    let (bytes, each) = idle(many).await?;
    let side = format!("a live runner, idle: a Rust component of {bytes} bytes, each another one");
    table.row(side, None, [each, f64::from(many)].map(|value| Some(Figure::one(value))));
    let each = running(2 * many).await?;
    table.row(
        "a run of `noop` that waits",
        None,
        [each, f64::from(2 * many)].map(|value| Some(Figure::one(value))),
    );
    Ok(table)
}

/// The size of one, and its memory.
async fn idle(many: u32) -> Result<(u64, f64)> {
    let dir = tempfile::tempdir().context("making a folder")?;
    let loader = loader(Some(dir.path().join("cache"))).await?;
    let mut files = Vec::new();
    for number in 0..many {
        let path = dir.path().join(format!("runner-{number}.wasm"));
        std::fs::write(&path, versioned(1_000_000 + number, Does::Work, 0)).context("writing a runner")?;
        // Compiled by another process into the cache; what that leaves in this one is freed before the
        // measurement.
        drop(load(&loader, &path).await?);
        files.push(path);
    }
    let before = resident()?;
    let mut live = Vec::new();
    for path in &files {
        live.push(load(&loader, path).await?);
    }
    let each = resident()?.saturating_sub(before) as f64 / f64::from(many);
    Ok((live.first().map_or(0, |one| one.bytes), each))
}

async fn running(many: u32) -> Result<f64> {
    let dir = tempfile::tempdir().context("making a folder")?;
    let loader = loader(Some(dir.path().join("cache"))).await?;
    let noop = Arc::new(load(&loader, &plugin("noop")).await?);
    // A first run, so that what is allocated once does not count.
    noop.run(call(NOOP, 0, dir.path())).await?;
    load(&loader, &smallest(dir.path())?).await?;
    let before = resident()?;
    let mut runs = JoinSet::new();
    for _ in 0..many {
        let work = tempfile::tempdir_in(dir.path()).context("making a folder")?;
        let noop = Arc::clone(&noop);
        runs.spawn(async move { noop.run(call(NOOP, SLEEP_MS, work.path())).await });
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let each = resident()?.saturating_sub(before) as f64 / f64::from(many);
    anyhow::ensure!(runs.try_join_next().is_none(), "a run ended before it was measured");
    runs.shutdown().await;
    Ok(each)
}
