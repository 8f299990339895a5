//! A runner that computes, `pointcloud`, on as many points as the whole Stanford dragon has, next to the same code built for
//! the machine: what WebAssembly costs it.

mod dragon;
mod native;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use posemesh_runner_api::runner::Runner as _;
use posemesh_tests::plugin;

use crate::cpu::{cost, processor_time};
use crate::plugins::sandbox::{SIDES, loaders};
use crate::plugins::setup::load;
use crate::ports::{Source, call_with};
use crate::report::{Report, progress};
use crate::results::{Figure, Table, Unit};

/// The vertices of the dragon as it was reconstructed.
const WHOLE_DRAGON: usize = 437_645;
const POINTCLOUD: &str = "/posemesh/pointcloud/v1";

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Points of the scan
    #[arg(long, default_value_t = WHOLE_DRAGON)]
    points: usize,
    /// How often each side takes its turn
    #[arg(long, default_value_t = 9)]
    repeat: usize,
}

/// Measures three sides, taking turns: native, in this process, in a process of its own.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Result<()> {
    progress(format_args!("`pointcloud` on {} points", options.points));
    let scan = Bytes::from(dragon::scan(options.points)?);
    let dir = tempfile::tempdir().context("making a folder")?;
    let file = dir.path().join("scan.ply");
    std::fs::write(&file, &scan).context("writing the scan")?;
    let loaders = loaders(&dir.path().join("cache")).await?;
    let mut runners = Vec::new();
    for loader in &loaders {
        runners.push(load(loader, &plugin("pointcloud")).await?);
    }
    let mut native_runs = Vec::new();
    let mut native_used = Vec::new();
    let mut times = vec![(Vec::new(), Vec::new()); runners.len()];
    for _ in 0..options.repeat.max(1) {
        let before = processor_time("self")?.children;
        native_runs.push(native::run(&file)?);
        // Of two runs, of which one counts.
        native_used.push(processor_time("self")?.children.saturating_sub(before) / 2);
        for (runner, (times, used)) in runners.iter().zip(&mut times) {
            let work = tempfile::tempdir_in(dir.path()).context("making a folder")?;
            let call = call_with(POINTCLOUD, Source::scan(scan.clone()), work.path());
            let (before, began) = (cost("self")?, Instant::now());
            runner.run(call).await?;
            times.push(began.elapsed());
            let spent = cost("self")?.since(before);
            used.push(spent.own + spent.children);
        }
    }
    let title = format!(
        "`pointcloud` on {} points, an ASCII file of {}",
        Unit::Count.shown(options.points as f64),
        Unit::Bytes.shown(scan.len() as f64)
    );
    let mut table = Table::new("pointcloud", title)
        .sides("who")
        .column("time", Unit::Seconds)
        .column("of native", Unit::Ratio)
        .column("processor time", Unit::Seconds)
        .column("of native's", Unit::Ratio);
    let took: Vec<Duration> = native_runs.iter().map(native::Run::took).collect();
    let native = [Figure::of_times(&took), Figure::of_times(&native_used)];
    table.row("native: the same code, built for the machine", None, figures(native, native));
    for (side, (times, used)) in SIDES.into_iter().zip(&times) {
        let ours = [Figure::of_times(times), Figure::of_times(used)];
        table.row(format!("our plugin host, {side}"), None, figures(ours, native));
    }
    report.table(table);
    report.table(stages(&native_runs));
    Ok(())
}

/// Time and processor time, each with its ratio to the native side's.
fn figures([time, used]: [Figure; 2], native: [Figure; 2]) -> [Option<Figure>; 4] {
    // The kernel counts processor time in hundredths of a second: a short run may have used none.
    let ratio =
        |one: Figure, other: Figure| (other.median > 0.0).then(|| Figure::one(one.median / other.median));
    [Some(time), ratio(time, native[0]), Some(used), ratio(used, native[1])]
}

/// Where the time of the native side goes.
fn stages(runs: &[native::Run]) -> Table {
    let mut table = Table::new("stages", "Where its time goes, built for the machine")
        .sides("stage")
        .column("time", Unit::Seconds);
    let names: Vec<&str> =
        runs.first().map(|run| run.stages().map(|(name, _)| name).collect()).unwrap_or_default();
    for (at, name) in names.into_iter().enumerate() {
        let times: Vec<Duration> =
            runs.iter().filter_map(|run| run.stages().nth(at)).map(|(_, took)| took).collect();
        table.row(name, None, [Some(Figure::of_times(&times))]);
    }
    table
}
