//! `posemesh-simulate`: runs seeds of the simulation. `cargo xtask simulate` builds it and has the help.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use posemesh_node_core::simulation::{run_fleet, run_seed_twice, run_seeds, run_steady};

/// Failing seeds after which a run stops.
const MOST_FAILURES: usize = 5;
/// Lines of a failing seed's trace that are printed: those before the first violation, and a few after it.
const LINES: (usize, usize) = (60, 10);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match Args::parse(&args) {
        Ok(Args { fleet: Some(nodes), splay, .. }) => fleet(nodes, splay),
        Ok(Args { steady: Some(seconds), .. }) => steady(seconds),
        Ok(Args { seed: Some(seed), trace, .. }) => one(seed, trace),
        Ok(Args { from, seeds, .. }) => many(from, seeds),
        Err(error) => Err(error),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

struct Args {
    from: u64,
    seeds: u64,
    seed: Option<u64>,
    trace: bool,
    /// So many nodes for one job server, for `cargo xtask bench fleet`.
    fleet: Option<u64>,
    /// Seconds over which their starts are spread.
    splay: u64,
    /// One node that works for so many seconds, for `cargo xtask bench instructions`.
    steady: Option<u64>,
}

impl Args {
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut parsed =
            Self { from: 0, seeds: 1000, seed: None, trace: false, fleet: None, splay: 0, steady: None };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut number = || {
                let text = args.next().ok_or_else(|| format!("{arg} needs a number"))?;
                text.parse().map_err(|_| format!("{arg} {text:?} is no number"))
            };
            match arg.as_str() {
                "--from" => parsed.from = number()?,
                "--seeds" => parsed.seeds = number()?,
                "--seed" => parsed.seed = Some(number()?),
                "--fleet" => parsed.fleet = Some(number()?),
                "--splay" => parsed.splay = number()?,
                "--steady" => parsed.steady = Some(number()?),
                "--trace" => parsed.trace = true,
                _ => {
                    return Err(format!(
                        "{arg:?} is none of --seeds, --from, --seed, --trace, --fleet, --splay, --steady"
                    ));
                }
            }
        }
        Ok(parsed)
    }
}

/// Runs one seed twice, which must do the same, and prints its trace. Whether everything held.
fn one(seed: u64, trace: bool) -> Result<bool, String> {
    let report = run_seed_twice(seed, None).map_err(|error| format!("run seed {seed}: {error}"))?;
    let lines = report.trace.len();
    let violated = report.trace.iter().position(|line| line.contains("VIOLATION")).unwrap_or(lines);
    let (first, end) =
        if trace { (0, lines) } else { (violated.saturating_sub(LINES.0), lines.min(violated + LINES.1)) };
    for line in report.trace.iter().take(end).skip(first) {
        println!("{line}");
    }
    if end - first < lines {
        println!(
            "(lines {first} to {end} of {lines}; cargo xtask simulate --seed {seed} --trace prints all)"
        );
    }
    for violation in &report.violations {
        println!("seed {seed}: {violation}");
    }
    Ok(report.violations.is_empty())
}

fn many(from: u64, seeds: u64) -> Result<bool, String> {
    let began = Instant::now();
    let report = run_seeds(from, seeds, MOST_FAILURES).map_err(|error| format!("run seeds: {error}"))?;
    let took = began.elapsed();
    println!(
        "{} seeds in {:.1} s ({:.2} ms each): {} virtual hours, {} starts of nodes, {} leases, {} calls; {} failed",
        report.seeds,
        took.as_secs_f64(),
        took.as_secs_f64() * 1000.0 / report.seeds.max(1) as f64,
        report.virtual_secs / 3600,
        report.starts,
        report.leases,
        report.calls,
        report.failed.len(),
    );
    for (seed, failed) in &report.failed {
        for violation in &failed.violations {
            println!("seed {seed}: {violation}");
        }
        println!("  again, with everything that happened: cargo xtask simulate --seed {seed} --trace");
    }
    let Some((seed, _)) = report.failed.first() else { return Ok(true) };
    println!("what led to the first violation of seed {seed}:");
    one(*seed, false).map(|_| false)
}

/// Prints the calls of each second as JSON.
fn fleet(nodes: u64, splay: u64) -> Result<bool, String> {
    let nodes = usize::try_from(nodes).map_err(|_| format!("{nodes} nodes are too many"))?;
    let report =
        run_fleet(nodes, Duration::from_secs(splay)).map_err(|error| format!("run a fleet: {error}"))?;
    let text = serde_json::to_string(&report).map_err(|error| format!("write the report: {error}"))?;
    println!("{text}");
    Ok(true)
}

/// Prints how many heartbeats there were.
fn steady(seconds: u64) -> Result<bool, String> {
    let heartbeats =
        run_steady(Duration::from_secs(seconds)).map_err(|error| format!("run a node: {error}"))?;
    println!("{heartbeats}");
    Ok(true)
}
