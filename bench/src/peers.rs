//! What others pay for the same: Extism, which calls WebAssembly modules too, and a process a task.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::plugins::run::wasmtime_alone;
use crate::plugins::sandbox::{SIDES, copies, loaders, noops};
use crate::plugins::setup::smallest;
use crate::report::{Report, progress};
use crate::results::{Figure, Table, Unit};
use crate::size::Size;

/// Says where `extism-peer` is; `cargo xtask bench` does, unless the run is a short one.
const EXTISM: &str = "POSEMESH_EXTISM_PEER_BIN";
/// How often the sides take turns.
const TURNS: usize = 4;

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Calls of each side in one turn
    #[arg(long, default_value_t = 300)]
    calls: usize,
    /// Copies of each side in one turn
    #[arg(long, default_value_t = 3)]
    copies: usize,
    /// Bytes of one copy: Extism holds the whole of them in memory, twice
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    bytes: Size,
}

/// What `extism-peer` prints: nanoseconds.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Extism {
    nothing_fresh: Vec<u64>,
    nothing_kept: Vec<u64>,
    copy_fresh: Vec<u64>,
    copy_kept: Vec<u64>,
}

/// The times of one side: of calls that do nothing, and of copies.
struct Side {
    name: String,
    nothing: Vec<Duration>,
    copies: Vec<Duration>,
}

/// Measures all sides, taking turns.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Result<()> {
    progress("the plugin host, Extism and a process a task");
    let extism = std::env::var_os(EXTISM).map(PathBuf::from);
    let dir = tempfile::tempdir().context("making a folder")?;
    let loaders = loaders(&dir.path().join("cache")).await?;
    let mut sides: Vec<Side> = Vec::new();
    let bytes = options.bytes.0;
    let small = smallest(dir.path())?;
    for _ in 0..TURNS {
        let alone =
            wasmtime_alone(&small, options.calls).await.map_err(|error| anyhow::anyhow!("{error:#}"))?;
        add(&mut sides, "wasmtime alone: store and instance", alone, Vec::new());
        let nothing = noops(&loaders, dir.path(), (1, options.calls)).await?;
        let copied = copies(&loaders, dir.path(), options.copies, bytes).await?;
        for ((side, nothing), copied) in SIDES.into_iter().zip(nothing).zip(copied) {
            add(&mut sides, &format!("our plugin host, {side}"), nothing, copied);
        }
        if let Some(program) = &extism {
            let said = call_extism(program, options)?;
            add(
                &mut sides,
                "Extism, an instance a call",
                times(&said.nothing_fresh),
                times(&said.copy_fresh),
            );
            add(
                &mut sides,
                "Extism, one instance for all",
                times(&said.nothing_kept),
                times(&said.copy_kept),
            );
        }
        let nothing = repeated(options.calls, process_of_nothing)?;
        let copied = repeated(options.copies, || process_of_copy(bytes))?;
        add(&mut sides, "a process a task (`true`, `cat` with pipes)", nothing, copied);
    }
    let mut table = Table::new("calls", "One task: nothing, and bytes through it")
        .sides("who")
        .column("nothing", Unit::Seconds)
        .column("99 % within", Unit::Seconds)
        .column(&format!("copy of {}", options.bytes), Unit::BytesPerSecond);
    for side in &sides {
        let rate =
            (!side.copies.is_empty()).then(|| Figure::of_times(&side.copies).map(|time| bytes as f64 / time));
        let nothing = [Figure::of_times(&side.nothing), Figure::slowest(&side.nothing)];
        table.row(side.name.as_str(), None, [Some(nothing[0]), Some(nothing[1]), rate]);
    }
    if extism.is_none() {
        table.note(format!("Extism was left out: {EXTISM} did not say where `extism-peer` is."));
    }
    report.table(table);
    Ok(())
}

fn add(sides: &mut Vec<Side>, name: &str, nothing: Vec<Duration>, copies: Vec<Duration>) {
    match sides.iter_mut().find(|side| side.name == name) {
        Some(side) => {
            side.nothing.extend(nothing);
            side.copies.extend(copies);
        }
        None => sides.push(Side { name: name.to_owned(), nothing, copies }),
    }
}

fn times(nanoseconds: &[u64]) -> Vec<Duration> {
    nanoseconds.iter().copied().map(Duration::from_nanos).collect()
}

/// Runs `extism-peer`, a program of its own: Extism brings another wasmtime.
fn call_extism(program: &Path, options: &Options) -> Result<Extism> {
    let numbers = [options.calls as u64, options.bytes.0, options.copies as u64];
    let output = Command::new(program)
        .args(numbers.map(|number| number.to_string()))
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("running {}", program.display()))?;
    ensure!(output.status.success(), "{} failed: {}", program.display(), output.status);
    serde_json::from_slice(&output.stdout).context("reading what `extism-peer` prints")
}

fn repeated(count: usize, mut run: impl FnMut() -> Result<()>) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        run()?;
        times.push(began.elapsed());
    }
    Ok(times)
}

/// The least that a process a task costs.
fn process_of_nothing() -> Result<()> {
    let status = Command::new("true").stdin(Stdio::null()).status().context("running `true`")?;
    ensure!(status.success(), "`true` failed: {status}");
    Ok(())
}

/// Bytes into a process and out of it, through pipes.
fn process_of_copy(bytes: u64) -> Result<()> {
    const PIECE: usize = 64 << 10;
    let mut child =
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("running `cat`")?;
    let mut into = child.stdin.take().context("a pipe to `cat`")?;
    let mut out = child.stdout.take().context("a pipe from `cat`")?;
    let writer = std::thread::spawn(move || {
        let piece = vec![7; PIECE];
        let mut left = bytes;
        while left > 0 {
            let now = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            into.write_all(piece.get(..now).unwrap_or_default())?;
            left -= now as u64;
        }
        Ok::<_, std::io::Error>(())
    });
    let copied = std::io::copy(&mut out, &mut std::io::sink()).context("reading from `cat`")?;
    let written = writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))?;
    written.context("writing to `cat`")?;
    let status = child.wait().context("waiting for `cat`")?;
    ensure!(status.success() && copied == bytes, "`cat` copied {copied} of {bytes} bytes: {status}");
    Ok(())
}
