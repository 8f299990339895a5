//! Time from a file to a generation that could go live: compiled, and found in the cache.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use posemesh_plugin_host::load::Loader;
use posemesh_tests::by_hand::{Parts, runner};
use posemesh_tests::guests::COPY;
use posemesh_tests::plugin;

use crate::plugins::setup::{load, loader, smallest};
use crate::report::{Report, progress};
use crate::results::{Figure, Table, Unit};

/// Measures single runners, and many one after the other.
pub(crate) async fn measure(loads: usize, many: u32, report: &mut Report) -> Result<()> {
    progress("loading runners");
    let dir = tempfile::tempdir().context("making a folder")?;
    let mut table = Table::new("load", "Loading a runner: read, verified, compiled, linked, probed")
        .sides("runner")
        .column("size", Unit::Bytes)
        .column("cold", Unit::Seconds)
        .column("from the cache", Unit::Seconds);
    let files = [smallest(dir.path())?, COPY.path(), plugin("noop"), plugin("pointcloud")];
    for path in &files {
        let (cold, cached) = (cold(path, loads).await?, cached(path, loads).await?);
        let bytes = std::fs::metadata(path).context("reading its size")?.len();
        let name = path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
        let figures = [Figure::one(bytes as f64), Figure::of_times(&cold), Figure::of_times(&cached)];
        table.row(format!("`{name}`"), None, figures.map(Some));
    }
    report.table(table);
    let title = format!("{many} runners of 500 functions, loaded one after the other");
    let mut table =
        Table::new("load-many", title).sides("the cache").column("time, all together", Unit::Seconds);
    let (cold, cached) = many_runners(dir.path(), many).await?;
    table.row("empty", None, [Some(Figure::one(cold.as_secs_f64()))]);
    table.row("has all of them", None, [Some(Figure::one(cached.as_secs_f64()))]);
    report.table(table);
    Ok(())
}

async fn timed(loader: &Loader, path: &Path) -> Result<Duration> {
    let began = Instant::now();
    load(loader, path).await?;
    Ok(began.elapsed())
}

async fn cold(path: &Path, loads: usize) -> Result<Vec<Duration>> {
    let loader = loader(None).await?;
    let mut times = Vec::new();
    for _ in 0..loads {
        times.push(timed(&loader, path).await?);
    }
    Ok(times)
}

async fn cached(path: &Path, loads: usize) -> Result<Vec<Duration>> {
    let dir = tempfile::tempdir().context("making a folder")?;
    let loader = loader(Some(dir.path().join("cache"))).await?;
    load(&loader, path).await?;
    let mut times = Vec::new();
    for _ in 0..loads {
        times.push(timed(&loader, path).await?);
    }
    Ok(times)
}

/// Loads many different runners, first with an empty cache and then from it.
async fn many_runners(dir: &Path, many: u32) -> Result<(Duration, Duration)> {
    let mut files = Vec::new();
    for n in 0..many {
        let code = format!("(func (result i32) (i32.const {n}))").repeat(500);
        let name = format!("runner-{n}");
        let path = dir.join(format!("{name}.wasm"));
        let bytes = runner(&name, &Parts { fields: &code, ..Parts::default() });
        std::fs::write(&path, bytes).context("writing a runner")?;
        files.push(path);
    }
    let loader = loader(Some(dir.join("cache-of-many"))).await?;
    let mut took = [Duration::ZERO; 2];
    for took in &mut took {
        for path in &files {
            *took += timed(&loader, path).await?;
        }
    }
    let [cold, cached] = took;
    Ok((cold, cached))
}
