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
use crate::report::progress;
use crate::results::{Figure, Table, Unit};

/// How long one swap may take: far more than it does.
const TIMEOUT: Duration = Duration::from_secs(30);
const SUFFIX: u8 = 1;

/// Measures so many swaps in each way.
pub(crate) async fn measure(swaps: u32) -> Result<Table> {
    progress("swaps");
    let dir = tempfile::tempdir().context("making a folder")?;
    let plugins = dir.path().join("plugins");
    std::fs::create_dir(&plugins).context("making a folder")?;
    let loader = loader(Some(dir.path().join("cache"))).await?;
    let settings = RegistrySettings::new(plugins.clone());
    let registry = Arc::new(Registry::new(Arc::new(loader), settings));
    let title = format!("From a new file to live, a Rust runner of {} bytes", of(0).len());
    let mut table = Table::new("swap", title)
        .sides("noticed by, compiled")
        .column("time", Unit::Seconds)
        .column("99 % within", Unit::Seconds);
    let mut row = |how: String, times: &[Duration]| {
        table.row(how, None, [Some(Figure::of_times(times)), Some(Figure::slowest(times))]);
    };
    for compiled in ["now", "before (cached)"] {
        let mut times = Vec::new();
        for number in 1..=swaps {
            put(&plugins, "swapped.wasm", &of(number));
            let began = Instant::now();
            registry.scan(Scan::Now).await.context("scanning the folder")?;
            until_live(&registry, number, began).await?;
            times.push(began.elapsed());
        }
        row(format!("`plugin rescan` or SIGHUP, compiled {compiled}"), &times);
    }
    let stop = CancellationToken::new();
    let watching = tokio::spawn({
        let (registry, stop) = (registry.clone(), stop.clone());
        async move { registry.watch(stop).await }
    });
    let mut times = Vec::new();
    for number in 1..=swaps {
        times.push(watched(&registry, &plugins, number).await?);
    }
    row(
        "the directory's watch, which waits 200 ms for the file to settle, compiled before (cached)"
            .to_owned(),
        &times,
    );
    stop.cancel();
    watching.await.context("the watch")?;
    Ok(table)
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
