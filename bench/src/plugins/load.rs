//! Time from a file to a generation that could go live: compiled, and found in the cache.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use posemesh_plugin_host::load::Loader;
use posemesh_tests::by_hand::{Parts, runner};
use posemesh_tests::guests::COPY;
use posemesh_tests::plugin;

use crate::plugins::setup::{load, loader, smallest};
use crate::sample::{Sample, ThreeDigits};

const LOADS: usize = 15;
const FIFTY: usize = 50;

/// Prints the table.
pub(crate) async fn measure() -> Result<()> {
    let dir = tempfile::tempdir().context("making a folder")?;
    println!("## Loading a runner: read, verified, compiled, linked, probed ({LOADS} times each)\n");
    println!("| runner | bytes | cold: median | slowest | cached: median | slowest |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let files = [smallest(dir.path())?, COPY.path(), plugin("noop"), plugin("pointcloud")];
    for path in &files {
        let (cold, cached) = (cold(path).await?, cached(path).await?);
        let bytes = std::fs::metadata(path).context("reading its size")?.len();
        let name = path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
        println!("| `{name}` | {bytes} | {cold} | {cached} |");
    }
    let (cold, cached) = fifty(dir.path()).await?;
    println!(
        "\n{FIFTY} runners of 500 functions one after the other: {} cold, {} from the cache.\n",
        ThreeDigits(cold),
        ThreeDigits(cached)
    );
    Ok(())
}

async fn timed(loader: &Loader, path: &Path) -> Result<Duration> {
    let began = Instant::now();
    load(loader, path).await?;
    Ok(began.elapsed())
}

async fn cold(path: &Path) -> Result<Sample> {
    let loader = loader(None).await?;
    let mut times = Vec::new();
    for _ in 0..LOADS {
        times.push(timed(&loader, path).await?);
    }
    Ok(Sample::new(times))
}

async fn cached(path: &Path) -> Result<Sample> {
    let dir = tempfile::tempdir().context("making a folder")?;
    let loader = loader(Some(dir.path().join("cache"))).await?;
    load(&loader, path).await?;
    let mut times = Vec::new();
    for _ in 0..LOADS {
        times.push(timed(&loader, path).await?);
    }
    Ok(Sample::new(times))
}

/// Loads many different runners, first with an empty cache and then from it.
async fn fifty(dir: &Path) -> Result<(Duration, Duration)> {
    let mut files = Vec::new();
    for n in 0..FIFTY {
        let code = format!("(func (result i32) (i32.const {n}))").repeat(500);
        let name = format!("runner-{n}");
        let path = dir.join(format!("{name}.wasm"));
        let bytes = runner(&name, &Parts { fields: &code, ..Parts::default() });
        std::fs::write(&path, bytes).context("writing a runner")?;
        files.push(path);
    }
    let loader = loader(Some(dir.join("cache-of-fifty"))).await?;
    let mut took = [Duration::ZERO; 2];
    for took in &mut took {
        for path in &files {
            *took += timed(&loader, path).await?;
        }
    }
    let [cold, cached] = took;
    Ok((cold, cached))
}
