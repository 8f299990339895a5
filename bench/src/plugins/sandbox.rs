//! What a process of its own costs a runner, beside the same runner in this process: a task that does nothing, a copy, and
//! the memory of a process that waits.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use bytes::Bytes;
use posemesh_plugin_host::load::{Loader, LoaderSettings, RunnerEngine};
use posemesh_plugin_host::registry::Generation;
use posemesh_runner_api::ports::{
    Artifact, ArtifactSpec, ArtifactWriter, InputPort, OutputPort, PartInfo, PartStream, PortError,
};
use posemesh_runner_api::runner::{Runner as _, RunnerCall};
use posemesh_tests::guests::COPY;
use posemesh_tests::{NOOP, node_binary, plugin};

use crate::plugins::run::call;
use crate::plugins::setup::load;
use crate::sample::{Sample, ThreeDigits};

/// Tasks of each side in one turn, and turns: both sides take turns, so that a busy machine is the same for both.
const TASKS: usize = 300;
const TURNS: usize = 8;
/// Bytes that one copy moves, and copies of each side.
const COPIED: u64 = 256 << 20;
const COPIES: usize = 7;

/// Prints the table.
pub(crate) async fn measure() -> Result<()> {
    let dir = tempfile::tempdir().context("making a folder")?;
    let cache = dir.path().join("cache");
    let apart = loader(&cache, true).await?;
    let here = loader(&cache, false).await?;
    println!("## A process of its own, beside this process\n");
    println!("| what | in this process | apart | difference or ratio |\n| --- | ---: | ---: | ---: |");
    noops([&here, &apart], dir.path()).await?;
    copies([&here, &apart], dir.path()).await?;
    println!();
    println!("| of | |\n| --- | ---: |");
    let missing = apart.check_sandbox().await?;
    println!(
        "| missing on this kernel | {} |",
        if missing.is_empty() { "nothing".to_owned() } else { missing.join("; ") }
    );
    memory(&apart, dir.path()).await?;
    println!();
    Ok(())
}

async fn loader(cache: &Path, apart: bool) -> Result<Loader> {
    let settings = LoaderSettings { cache: Some(cache.to_owned()), ..LoaderSettings::default() };
    let mut settings = settings.with_program(node_binary());
    if !apart {
        settings.sandbox.program = None;
    }
    Ok(Loader::open(RunnerEngine::new().context("setting up wasmtime")?, settings).await?)
}

async fn noops(sides: [&Loader; 2], dir: &Path) -> Result<()> {
    let mut runners = Vec::new();
    for side in sides {
        runners.push((load(side, &plugin("noop")).await?, Vec::new()));
    }
    for _ in 0..TURNS {
        for (runner, times) in &mut runners {
            for _ in 0..TASKS {
                let work = tempfile::tempdir_in(dir).context("making a folder")?;
                let task = call(NOOP, 0, work.path());
                let began = Instant::now();
                runner.run(task).await?;
                times.push(began.elapsed());
            }
        }
    }
    let [here, apart] = medians(runners)?;
    println!(
        "| `noop`, median of {} | {} | {} | {} more |",
        TASKS * TURNS,
        ThreeDigits(here),
        ThreeDigits(apart),
        ThreeDigits(apart.saturating_sub(here))
    );
    Ok(())
}

async fn copies(sides: [&Loader; 2], dir: &Path) -> Result<()> {
    let mut runners = Vec::new();
    for side in sides {
        runners.push((load(side, &COPY.path()).await?, Vec::new()));
    }
    for _ in 0..COPIES {
        for (runner, times) in &mut runners {
            let work = tempfile::tempdir_in(dir).context("making a folder")?;
            let began = Instant::now();
            runner.run(copy(work.path())).await?;
            times.push(began.elapsed());
        }
    }
    let [here, apart] = medians(runners)?;
    let rate = |time: Duration| format!("{:.0} MiB/s", (COPIED >> 20) as f64 / time.as_secs_f64());
    println!(
        "| copy of {} MiB between ports in memory, median of {COPIES} | {} | {} | {:.2} |",
        COPIED >> 20,
        rate(here),
        rate(apart),
        here.as_secs_f64() / apart.as_secs_f64()
    );
    Ok(())
}

fn medians(runners: Vec<(Generation, Vec<Duration>)>) -> Result<[Duration; 2]> {
    let medians: Vec<Duration> = runners.into_iter().map(|(_, times)| Sample::new(times).median()).collect();
    medians.try_into().map_err(|_| anyhow::anyhow!("two sides"))
}

fn copy(dir: &Path) -> RunnerCall {
    let mut task = call(COPY.capability, 0, dir);
    task.task.inputs_cids = vec!["input".to_owned()];
    RunnerCall { inputs: Arc::new(Source), outputs: Arc::new(Sink), ..task }
}

/// Bytes without end, as a server would send them: in pieces of 64 KiB.
struct Source;

struct SourceStream {
    left: Option<u64>,
    piece: Bytes,
}

#[async_trait]
impl InputPort for Source {
    async fn open(&self, _: &str) -> Result<Box<dyn PartStream>, PortError> {
        Ok(Box::new(SourceStream { left: None, piece: vec![7; 64 << 10].into() }))
    }
}

#[async_trait]
impl PartStream for SourceStream {
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError> {
        if self.left.is_some() {
            return Ok(None);
        }
        self.left = Some(COPIED);
        let text = |text: &str| text.to_owned();
        Ok(Some(PartInfo {
            data_id: text("1"),
            name: text("input"),
            data_type: text("bin"),
            size: COPIED,
            domain_id: text(""),
            created_at: None,
            updated_at: None,
        }))
    }

    async fn read(&mut self, max_bytes: usize) -> Result<Bytes, PortError> {
        let left = self.left.get_or_insert(0);
        let bytes = usize::try_from(*left).unwrap_or(usize::MAX).min(max_bytes).min(self.piece.len());
        *left -= bytes as u64;
        Ok(self.piece.slice(..bytes))
    }
}

struct Sink;

struct SinkWriter(u64);

#[async_trait]
impl OutputPort for Sink {
    async fn create(&self, _: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        Ok(Box::new(SinkWriter(0)))
    }

    fn finished(&self) -> Vec<Artifact> {
        Vec::new()
    }
}

#[async_trait]
impl ArtifactWriter for SinkWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), PortError> {
        self.0 += bytes.len() as u64;
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Artifact, PortError> {
        let text = |text: &str| text.to_owned();
        Ok(Artifact {
            logical_path: text("out"),
            name: text("out"),
            data_type: text("bin"),
            id: None,
            size: self.0,
            sha256: text(""),
        })
    }
}

/// Memory that is a waiting process's own, and how long starting one takes. The program's code is shared with the node: here,
/// where this process is another program, with a second sandbox process.
async fn memory(loader: &Loader, dir: &Path) -> Result<()> {
    let _second = load(loader, &plugin("noop")).await?;
    for name in ["noop", "pointcloud"] {
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
        println!(
            "| `{name}` loaded from the cache: process, code, locks, `describe` | {} |",
            ThreeDigits(took)
        );
        println!("| memory of its waiting process that is its own | {:.1} MiB |", own as f64 / 1024.0);
    }
    Ok(())
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
