//! What a process of its own costs a runner, beside the same runner in this process: a task that does nothing, a copy, and
//! the memory of a process that waits.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use posemesh_plugin_host::load::{Loader, LoaderSettings, RunnerEngine};
use posemesh_plugin_host::registry::Generation;
use posemesh_runner_api::runner::Runner as _;
use posemesh_tests::guests::COPY;
use posemesh_tests::{NOOP, node_binary, plugin};
use tokio::task::JoinSet;

use crate::plugins::setup::load;
use crate::ports::{Source, call, call_with};
use crate::report::{Report, progress};
use crate::results::{Figure, Table, Unit};

/// Bytes that one copy moves.
const COPIED: u64 = 256 << 20;
/// What the sides are called: runners in this process, and in processes of their own.
pub(crate) const SIDES: [&str; 2] = ["in this process", "apart"];

/// Measures both sides, taking turns, so that a busy machine is the same for both.
pub(crate) async fn measure(turns: usize, tasks: usize, report: &mut Report) -> Result<()> {
    progress("a process of its own, beside this process");
    let dir = tempfile::tempdir().context("making a folder")?;
    let loaders = loaders(&dir.path().join("cache")).await?;
    let mut table = Table::new("sandbox", "A process of its own, beside this process")
        .sides("the runner is")
        .column("`noop`", Unit::Seconds)
        .column("copy of 256 MiB between ports in memory", Unit::BytesPerSecond);
    let noops = noops(&loaders, dir.path(), (turns, tasks)).await?;
    let copies = copies(&loaders, dir.path(), turns, COPIED).await?;
    for (side, (noops, copies)) in SIDES.into_iter().zip(noops.iter().zip(&copies)) {
        let rate = Figure::of_times(copies).map(|time| COPIED as f64 / time);
        table.row(side, None, [Some(Figure::of_times(noops)), Some(rate)]);
    }
    let [_, apart] = &loaders;
    let missing = apart.check_sandbox().await?;
    table.note(match missing.as_slice() {
        [] => "Nothing of the sandbox is missing on this kernel.".to_owned(),
        missing => format!("This kernel lacks: {}.", missing.join("; ")),
    });
    report.table(table);
    report.table(memory(apart, dir.path()).await?);
    report.table(places(apart, dir.path(), (turns, tasks)).await?);
    Ok(())
}

/// A loader for each of [`SIDES`].
pub(crate) async fn loaders(cache: &Path) -> Result<[Loader; 2]> {
    Ok([loader(cache, false).await?, loader(cache, true).await?])
}

async fn loader(cache: &Path, apart: bool) -> Result<Loader> {
    let settings = LoaderSettings { cache: Some(cache.to_owned()), ..LoaderSettings::default() };
    let mut settings = settings.with_program(node_binary());
    if !apart {
        settings.sandbox.program = None;
    }
    Ok(Loader::open(RunnerEngine::new().context("setting up wasmtime")?, settings).await?)
}

/// How long each run of `noop` takes each side.
pub(crate) async fn noops(
    loaders: &[Loader; 2],
    dir: &Path,
    (turns, tasks): (usize, usize),
) -> Result<[Vec<Duration>; 2]> {
    let runners = both(loaders, &plugin("noop")).await?;
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..turns {
        for (runner, times) in runners.iter().zip(&mut times) {
            for _ in 0..tasks {
                let work = tempfile::tempdir_in(dir).context("making a folder")?;
                let task = call(NOOP, 0, work.path());
                let began = Instant::now();
                runner.run(task).await?;
                times.push(began.elapsed());
            }
        }
    }
    Ok(times)
}

/// How long each copy of so many bytes takes each side.
pub(crate) async fn copies(
    loaders: &[Loader; 2],
    dir: &Path,
    turns: usize,
    bytes: u64,
) -> Result<[Vec<Duration>; 2]> {
    let runners = both(loaders, &COPY.path()).await?;
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..turns {
        for (runner, times) in runners.iter().zip(&mut times) {
            let work = tempfile::tempdir_in(dir).context("making a folder")?;
            let began = Instant::now();
            runner.run(call_with(COPY.capability, Source::of_size(bytes), work.path())).await?;
            times.push(began.elapsed());
        }
    }
    Ok(times)
}

async fn both(loaders: &[Loader; 2], path: &Path) -> Result<[Generation; 2]> {
    let [here, apart] = loaders;
    Ok([load(here, path).await?, load(apart, path).await?])
}

/// A section with a function that no instance uses: it could make calls wait beside each other (`waitable-set.new`), and so
/// instances of the component get no place.
const COULD_WAIT: [u8; 4] = [0x08, 0x02, 0x01, 0x1f];
/// Tasks that run at once in the second column.
const AT_ONCE: usize = 8;

/// What it spares a task that its instance takes a place that is kept.
async fn places(loader: &Loader, dir: &Path, (turns, tasks): (usize, usize)) -> Result<Table> {
    let mut table = Table::new("places", "Instances in places that are kept, and with memory of their own")
        .sides("`noop`, apart, with")
        .column("a task, one at a time", Unit::Seconds)
        .column("a task of eight at once", Unit::Seconds);
    let unpooled = dir.join("unpooled.wasm");
    let mut component = std::fs::read(plugin("noop")).context("reading the noop runner")?;
    component.extend(COULD_WAIT);
    std::fs::write(&unpooled, component).context("writing a runner")?;
    let runners = [Arc::new(load(loader, &plugin("noop")).await?), Arc::new(load(loader, &unpooled).await?)];
    let mut times = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    for _ in 0..turns {
        for (runner, [alone, together]) in runners.iter().zip(&mut times) {
            for _ in 0..tasks {
                alone.push(timed(runner.clone(), dir.to_owned()).await?);
            }
            let began = Instant::now();
            let mut running = JoinSet::new();
            for _ in 0..AT_ONCE {
                let (runner, dir) = (runner.clone(), dir.to_owned());
                running.spawn(async move {
                    for _ in 0..tasks {
                        timed(runner.clone(), dir.clone()).await?;
                    }
                    anyhow::Ok(())
                });
            }
            while let Some(ran) = running.join_next().await {
                ran.context("running tasks")??;
            }
            together.push(began.elapsed() / u32::try_from(AT_ONCE * tasks).unwrap_or(u32::MAX));
        }
    }
    for (side, [alone, together]) in ["a place", "memory of its own"].into_iter().zip(&times) {
        table.row(side, None, [Some(Figure::of_times(alone)), Some(Figure::of_times(together))]);
    }
    Ok(table)
}

async fn timed(runner: Arc<Generation>, dir: PathBuf) -> Result<Duration> {
    let work = tempfile::tempdir_in(dir).context("making a folder")?;
    let task = call(NOOP, 0, work.path());
    let began = Instant::now();
    runner.run(task).await?;
    Ok(began.elapsed())
}

/// Memory that is a waiting process's own, and how long starting one takes. The program's code is shared with the node: here,
/// where this process is another program, with a second sandbox process.
async fn memory(loader: &Loader, dir: &Path) -> Result<Table> {
    let mut table = Table::new("process", "A waiting sandbox process, loaded from the cache")
        .sides("runner")
        .column("time: process, code, locks, `describe`", Unit::Seconds)
        .column("memory of its own", Unit::Bytes);
    let _second = load(loader, &plugin("noop")).await?;
    for name in ["noop", "pointcloud"] {
        // Once before: the cache has it then.
        drop(load(loader, &plugin(name)).await?);
        let before = children()?;
        let began = Instant::now();
        let runner = load(loader, &plugin(name)).await?;
        let took = began.elapsed();
        if name == "noop" {
            let work = tempfile::tempdir_in(dir).context("making a folder")?;
            runner.run(call(NOOP, 0, work.path())).await?;
        }
        let mut own = 0;
        for pid in children()?.into_iter().filter(|pid| !before.contains(pid)) {
            own += own_memory(pid)?;
        }
        let figures = [took.as_secs_f64(), own as f64 * 1024.0];
        table.row(format!("`{name}`"), None, figures.map(|value| Some(Figure::one(value))));
    }
    Ok(table)
}

fn children() -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task").context("listing threads")? {
        let text = std::fs::read_to_string(thread?.path().join("children")).context("listing processes")?;
        found.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    Ok(found)
}

/// KiB that no other process shares.
fn own_memory(pid: u32) -> Result<u64> {
    let text =
        std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).context("reading a process's memory")?;
    let of = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or_default()
    };
    Ok(of("Private_Clean:") + of("Private_Dirty:"))
}
