//! The runner's code built for the machine, timed: what `cargo xtask bench compute` compares the component with.
//!
//! `timed SCAN TIMES` runs it so often on a scan that is in memory, forgets the artifacts, and prints a line of JSON: for each
//! run the nanoseconds of the whole, and of each stage.

use std::io::{self, Write};
use std::time::Instant;

use pointcloud::failure::Failure;
use pointcloud::params::Params;
use pointcloud::pipeline::{self, Artifact, Outputs};
use pointcloud::progress::Control;
use pointcloud::summary::Input;
use serde_json::{Value, json};

fn main() -> Result<(), String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, times] = args.as_slice() else { return Err("a scan and a number are needed".to_owned()) };
    let scan = std::fs::read(path).map_err(|error| format!("reading {path}: {error}"))?;
    let times: usize = times.parse().map_err(|_| format!("{times:?} is no number"))?;
    let runs: Result<Vec<Value>, Failure> = (0..times).map(|_| timed(&scan)).collect();
    println!("{}", json!(runs.map_err(|failure| format!("running it: {failure}"))?));
    Ok(())
}

fn timed(scan: &[u8]) -> Result<Value, Failure> {
    let params: Params = serde_json::from_str("{}").map_err(io::Error::from)?;
    let input = Input { name: "scan.ply".to_owned(), size: scan.len() as u64 };
    let mut stages = Stages(Vec::new());
    let began = Instant::now();
    pipeline::run(scan, input, &params, &mut stages, &mut Forgotten)?;
    let end = Instant::now();
    let ends = stages.0.iter().skip(1).map(|(_, at)| *at).chain([end]);
    let stages: Vec<Value> = stages
        .0
        .iter()
        .zip(ends)
        .map(|((name, from), to)| json!([name, (to - *from).as_nanos() as u64]))
        .collect();
    Ok(json!({ "took": (end - began).as_nanos() as u64, "stages": stages }))
}

/// When each stage began.
struct Stages(Vec<(String, Instant)>);

impl Control for Stages {
    fn progress(&mut self, _: f64, stage: &str) {
        if self.0.last().is_none_or(|(last, _)| last != stage) {
            self.0.push((stage.to_owned(), Instant::now()));
        }
    }

    fn cancelled(&mut self) -> bool {
        false
    }
}

/// Takes artifacts and keeps nothing.
struct Forgotten;

impl Outputs for Forgotten {
    fn create(&mut self, _: &str, _: u64) -> io::Result<Box<dyn Artifact>> {
        Ok(Box::new(Self))
    }
}

impl Write for Forgotten {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Artifact for Forgotten {
    fn finish(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}
