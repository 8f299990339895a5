//! Time from a new file in `PLUGINS_DIR` until the next task gets it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use posemesh_plugin_host::registry::{Registry, RegistrySettings, Scan};
use posemesh_runner_api::runner::Runners as _;
use posemesh_tests::versions::{Does, capability, put, versioned};
use tokio_util::sync::CancellationToken;

use crate::plugins::setup::loader;
use crate::sample::Sample;

const SWAPS: u32 = 30;
/// How long one swap may take: far more than it does.
const TIMEOUT: Duration = Duration::from_secs(30);
const SUFFIX: u8 = 1;

/// Prints the table.
pub(crate) async fn measure() -> Result<()> {
    let dir = tempfile::tempdir().context("making a folder")?;
    let plugins = dir.path().join("plugins");
    std::fs::create_dir(&plugins).context("making a folder")?;
    let loader = loader(Some(dir.path().join("cache"))).await?;
    let settings = RegistrySettings::new(plugins.clone());
    let registry = Arc::new(Registry::new(Arc::new(loader), settings));
    println!("## From a new file to live ({SWAPS} swaps each, a Rust runner of {} bytes)\n", of(0).len());
    println!("| noticed by | compiled | median | slowest |\n| --- | --- | ---: | ---: |");
    for compiled in ["now", "before (cached)"] {
        let mut times = Vec::new();
        for number in 1..=SWAPS {
            put(&plugins, "swapped.wasm", &of(number));
            let began = Instant::now();
            registry.scan(Scan::Now).await.context("scanning the folder")?;
            until_live(&registry, number, began).await?;
            times.push(began.elapsed());
        }
        println!("| `plugin rescan`, SIGHUP | {compiled} | {} |", Sample::new(times));
    }
    let stop = CancellationToken::new();
    let watching = tokio::spawn({
        let (registry, stop) = (registry.clone(), stop.clone());
        async move { registry.watch(stop).await }
    });
    let mut times = Vec::new();
    for number in 1..=SWAPS {
        times.push(watched(&registry, &plugins, number).await?);
    }
    println!(
        "| the directory's watch, which waits 200 ms for the file to settle | before (cached) | {} |\n",
        Sample::new(times)
    );
    stop.cancel();
    watching.await.context("the watch")
}

fn of(number: u32) -> Vec<u8> {
    versioned(1_000_000 + number, Does::Work, SUFFIX)
}

async fn watched(registry: &Registry, plugins: &Path, number: u32) -> Result<Duration> {
    put(plugins, "swapped.wasm", &of(number));
    let began = Instant::now();
    until_live(registry, number, began).await?;
    Ok(began.elapsed())
}

async fn until_live(registry: &Registry, number: u32, began: Instant) -> Result<()> {
    let version = format!(" 1.0.{} ", 1_000_000 + number);
    while !registry.pick(&capability(SUFFIX)).is_some_and(|runner| runner.label().contains(&version)) {
        if began.elapsed() > TIMEOUT {
            bail!("{version} never went live: {:#?}", registry.view());
        }
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    Ok(())
}
