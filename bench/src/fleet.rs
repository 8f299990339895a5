//! A thousand nodes for one job server, in simulation (docs/simulation.md): no machine has a thousand nodes, but their control
//! plane runs as it is, in virtual time, and each call is counted.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::report::{Report, progress};
use crate::results::{Figure, Table, Unit};

/// Says where `posemesh-simulate` is.
const SIMULATION: &str = "POSEMESH_SIMULATION_BIN";
/// START_SPLAY_SECS of the restarts that are compared.
const SPLAYS: [u64; 3] = [0, 30, 60];
/// Seconds after the restart at which a row begins; the last is the end.
const AFTER: [usize; 15] = [0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 40, 50, 60, 90];

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many nodes there are
    #[arg(long, default_value_t = 1000)]
    nodes: u64,
}

/// What `posemesh-simulate --fleet` prints: calls by the second.
#[derive(Deserialize)]
struct Fleet {
    nodes: usize,
    working: [usize; 2],
    idle: Vec<Calls>,
    busy: Vec<Calls>,
    restart: Vec<Calls>,
}

#[derive(Deserialize, Clone, Copy)]
struct Calls {
    leases: f64,
    heartbeats: f64,
    reports: f64,
    logins: f64,
    registrations: f64,
}

impl Calls {
    fn all(self) -> f64 {
        self.leases + self.heartbeats + self.reports + self.logins + self.registrations
    }
}

/// The program that simulates.
///
/// # Errors
/// If nobody says where it is.
pub(crate) fn simulation() -> Result<PathBuf> {
    let path = std::env::var_os(SIMULATION).map(PathBuf::from);
    path.with_context(|| {
        format!(
            "{SIMULATION} is not set: it names `posemesh-simulate`; start the bench with `cargo xtask bench`"
        )
    })
}

/// Simulates a fleet with each splay.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Result<()> {
    let mut fleets = Vec::new();
    for splay in SPLAYS {
        progress(format_args!("{} simulated nodes, started over {splay} s", options.nodes));
        fleets.push((splay, run(options.nodes, splay)?));
    }
    report.table(phases(&fleets));
    report.table(restarts(&fleets));
    Ok(())
}

fn run(nodes: u64, splay: u64) -> Result<Fleet> {
    let program = simulation()?;
    let output = Command::new(&program)
        .args(["--fleet", &nodes.to_string(), "--splay", &splay.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("running {}", program.display()))?;
    ensure!(output.status.success(), "{} failed: {}", program.display(), output.status);
    let fleet: Fleet =
        serde_json::from_slice(&output.stdout).context("reading what `posemesh-simulate` prints")?;
    ensure!(
        fleet.working == [fleet.nodes; 2],
        "of {} nodes {:?} worked before and after the restart",
        fleet.nodes,
        fleet.working
    );
    Ok(fleet)
}

fn phases(fleets: &[(u64, Fleet)]) -> Table {
    let nodes = fleets.first().map_or(0, |(_, fleet)| fleet.nodes);
    let mut table = Table::new("phases", format!("Calls that {nodes} nodes make, in simulation"))
        .sides("phase")
        .column("requests for work", Unit::PerSecond)
        .column("heartbeats", Unit::PerSecond)
        .column("registrations", Unit::PerSecond)
        .column("logins", Unit::PerSecond)
        .column("all", Unit::PerSecond);
    let mut row = |phase: String, seconds: &[Calls]| {
        let of = |value: fn(Calls) -> f64| Some(Figure::of(seconds.iter().copied().map(value).collect()));
        let figures = [
            of(|it| it.leases),
            of(|it| it.heartbeats),
            of(|it| it.registrations),
            of(|it| it.logins),
            of(Calls::all),
        ];
        table.row(phase, None, figures);
    };
    if let Some((_, fleet)) = fleets.first() {
        row("none has work".to_owned(), &fleet.idle);
        row("all work".to_owned(), &fleet.busy);
    }
    for (splay, fleet) in fleets {
        let busiest = fleet.restart.iter().copied().max_by(|one, other| one.all().total_cmp(&other.all()));
        row(
            format!("busiest second after a common restart, {}", side(*splay)),
            &busiest.map_or(Vec::new(), |it| vec![it]),
        );
    }
    table
}

fn restarts(fleets: &[(u64, Fleet)]) -> Table {
    let mut table = Table::new("restart", "All calls after all processes were started again at once")
        .sides("settings")
        .by_unit("seconds after it", Unit::Count)
        .column("calls", Unit::PerSecond);
    for (splay, fleet) in fleets {
        for window in AFTER.windows(2) {
            let [from, to] = window else { continue };
            let seconds = fleet.restart.get(*from..*to).unwrap_or_default();
            let figure = Figure::of(seconds.iter().map(|calls| calls.all()).collect());
            table.row(side(*splay), Some(*from as f64), [Some(figure)]);
        }
    }
    table
}

fn side(splay: u64) -> String {
    match splay {
        0 => "without splay".to_owned(),
        seconds => format!("START_SPLAY_SECS={seconds}"),
    }
}
