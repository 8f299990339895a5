//! Resident memory of each live, idle runner, and of each run.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use posemesh_runner_api::runner::Runner as _;
use posemesh_tests::versions::{Does, versioned};
use posemesh_tests::{NOOP, plugin};
use tokio::task::JoinSet;

use crate::memory::resident;
use crate::plugins::run::call;
use crate::plugins::setup::{load, loader, smallest};

const IDLE: u32 = 200;
const RUNNING: u32 = 400;
/// Longer than the measurement takes.
const SLEEP_MS: u64 = 60_000;

/// Prints the table.
pub(crate) async fn measure() -> Result<()> {
    println!("## Resident memory\n");
    println!("| of | each |\n| --- | ---: |");
    idle().await?;
    running().await?;
    println!();
    Ok(())
}

async fn idle() -> Result<()> {
    let dir = tempfile::tempdir().context("making a folder")?;
    let loader = loader(Some(dir.path().join("cache"))).await?;
    let mut files = Vec::new();
    for number in 0..IDLE {
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
    let each = (resident()?.saturating_sub(before)) / u64::from(IDLE);
    let bytes = live.first().map_or(0, |one| one.bytes);
    println!(
        "| a live runner, idle: a Rust component of {bytes} bytes ({IDLE} different ones) | {} KiB |",
        each / 1024
    );
    Ok(())
}

async fn running() -> Result<()> {
    let dir = tempfile::tempdir().context("making a folder")?;
    let loader = loader(Some(dir.path().join("cache"))).await?;
    let noop = Arc::new(load(&loader, &plugin("noop")).await?);
    // A first run, so that what is allocated once does not count.
    noop.run(call(NOOP, 0, dir.path())).await?;
    load(&loader, &smallest(dir.path())?).await?;
    let before = resident()?;
    let mut runs = JoinSet::new();
    for _ in 0..RUNNING {
        let work = tempfile::tempdir_in(dir.path()).context("making a folder")?;
        let noop = Arc::clone(&noop);
        runs.spawn(async move { noop.run(call(NOOP, SLEEP_MS, work.path())).await });
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let each = (resident()?.saturating_sub(before)) / u64::from(RUNNING);
    anyhow::ensure!(runs.try_join_next().is_none(), "a run ended before it was measured");
    println!("| a run of `noop` that waits ({RUNNING} at once) | {} KiB |", each / 1024);
    runs.shutdown().await;
    Ok(())
}
