//! Whole tasks that do nothing, through a node and its job server: how many a second, how long one takes, and what it costs.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use posemesh_devnet::{Devnet, DevnetConfig, Endpoint, TaskState, TaskStatus};
use posemesh_tests::{NOOP, NodeProcess, node_binary, plugin, reference_binary, variables};
use serde_json::json;
use uuid::Uuid;

use crate::cpu::{Cost, cost};
use crate::report::{Report, progress};
use crate::results::{Figure, Table, Unit};

/// Tasks before the measurement, for each that may run at once.
const WARM_UP: usize = 5;
/// How long all tasks of a round may take.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How long it takes to notice that a task has ended; what is measured is when the job server said so.
const LOOK: Duration = Duration::from_millis(5);
/// The capability of the reference node.
const REFERENCE: &str = "/posemesh/reference/v1";

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Tasks of each round of our node
    #[arg(long, default_value_t = 2000)]
    tasks: usize,
    /// Rounds of each measurement: what their figures differ by is the spread
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Tasks of each round of the reference node, which waits between them; 0 leaves it out
    #[arg(long, default_value_t = 10)]
    reference_tasks: usize,
    /// How many run at once (MAX_CONCURRENCY), with commas
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4, 8, 16, 32, 64, 128])]
    concurrency: Vec<usize>,
    /// Leave out the node with SANDBOX=off
    #[arg(long)]
    no_sandbox_off: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Ours,
    InProcess,
    Reference,
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "posemesh-node",
            Self::InProcess => "posemesh-node, SANDBOX=off",
            Self::Reference => "posemesh-compute-node 0.3.3",
        }
    }
}

/// What one round was like.
struct Round {
    tasks: u32,
    /// Each task, from its lease to its end.
    times: Vec<Duration>,
    /// From the first lease to the last end.
    all: Duration,
    used: Cost,
}

/// Measures nodes with ever more tasks at once.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Result<()> {
    let mut table = Table::new("tasks", "Tasks that do nothing, from lease to completion")
        .by("at once")
        .column("tasks", Unit::PerSecond)
        .column("time", Unit::Seconds)
        .column("99 % within", Unit::Seconds)
        .column("processor time: node and its processes", Unit::Seconds)
        .column("of its processes", Unit::Seconds)
        .column("context switches", Unit::Count);
    for &concurrency in &options.concurrency {
        for (who, tasks) in [
            (Who::Ours, options.tasks.max(1)),
            (Who::InProcess, if options.no_sandbox_off { 0 } else { options.tasks.max(1) }),
            (Who::Reference, options.reference_tasks),
        ] {
            if tasks > 0 {
                progress(format_args!("{}, {concurrency} at once", who.name()));
                let rounds = rounds(who, concurrency, (tasks, options.rounds.max(1))).await?;
                table.row(who.name(), Some(concurrency as f64), figures(&rounds));
            }
        }
    }
    report.table(table);
    Ok(())
}

fn figures(rounds: &[Round]) -> [Option<Figure>; 6] {
    let of = |value: &dyn Fn(&Round) -> f64| Some(Figure::of(rounds.iter().map(value).collect()));
    let times: Vec<Duration> = rounds.iter().flat_map(|round| round.times.iter().copied()).collect();
    let each = |time: Duration, round: &Round| time.as_secs_f64() / f64::from(round.tasks);
    [
        of(&|round| f64::from(round.tasks) / round.all.as_secs_f64()),
        Some(Figure::of_times(&times)),
        Some(Figure::slowest(&times)),
        of(&|round| each(round.used.own + round.used.children, round)),
        of(&|round| each(round.used.children, round)),
        of(&|round| round.used.switches as f64 / f64::from(round.tasks)),
    ]
}

/// A node of its own, and so many rounds of so many tasks.
async fn rounds(who: Who, concurrency: usize, (tasks, rounds): (usize, usize)) -> Result<Vec<Round>> {
    let dir = tempfile::tempdir().context("making a folder")?;
    let config = DevnetConfig { leases_per_node: concurrency, ..DevnetConfig::default() };
    let devnet = Devnet::start(config).await.context("starting a devnet")?;
    let plugins = dir.path().join("plugins");
    std::fs::create_dir(&plugins).context("making a folder")?;
    std::fs::copy(plugin("noop"), plugins.join("noop.wasm")).context("copying the runner `noop`")?;
    let mut variables = variables(&devnet, &plugins, &dir.path().join("node"));
    variables.insert("ENABLE_NOOP".to_owned(), "true".to_owned());
    variables.insert("MAX_CONCURRENCY".to_owned(), concurrency.to_string());
    if who == Who::InProcess {
        variables.insert("SANDBOX".to_owned(), "off".to_owned());
    }
    let (mut process, capability) = if who == Who::Reference {
        variables.insert("REFERENCE_RUNNER".to_owned(), "nothing".to_owned());
        (NodeProcess::start(&reference_binary(), &[], &variables), REFERENCE)
    } else {
        (NodeProcess::start(&node_binary(), &["run"], &variables), NOOP)
    };
    let pid = process.id().to_string();

    // The reference node waits between tasks: one is enough to know that it works.
    let warm_up = if who == Who::Reference { 1 } else { WARM_UP * concurrency };
    ended(&devnet, &submit(&devnet, capability, warm_up)?).await?;
    let mut measured = Vec::new();
    for _ in 0..rounds {
        let before = cost(&pid)?;
        let first = devnet.requests().len();
        let states = ended(&devnet, &submit(&devnet, capability, tasks)?).await?;
        let used = cost(&pid)?.since(before);
        measured.push(round(&devnet, first, &states, used)?);
    }
    if who == Who::Reference {
        process.kill().await
    } else {
        _ = process.terminate().await
    }
    devnet.shutdown().await;
    Ok(measured)
}

fn submit(devnet: &Devnet, capability: &str, tasks: usize) -> Result<Vec<Uuid>> {
    let task = |_| {
        json!({"label": "noop", "stage": "noop", "capability": capability, "max_attempts": 1,
                           "meta": {"sleep_ms": 0}})
    };
    let tasks: Vec<_> = (0..tasks).map(task).collect();
    Ok(devnet.submit_job(json!({"label": "bench", "tasks": tasks})).context("submitting a job")?.tasks)
}

async fn ended(devnet: &Devnet, tasks: &[Uuid]) -> Result<Vec<TaskState>> {
    let mut states = Vec::new();
    let began = Instant::now();
    for task in tasks {
        // Looked at now and then: to be woken by each request, as the devnet's own wait is, takes time from the servers.
        let state = loop {
            let state = devnet.task(*task).context("a task that was submitted")?;
            if state.status.is_end() {
                break state;
            }
            ensure!(began.elapsed() < TIMEOUT, "a task did not end: {state:?}");
            tokio::time::sleep(LOOK).await;
        };
        ensure!(state.status == TaskStatus::Completed, "a task is {:?}: {:?}", state.status, state.failures);
        states.push(state);
    }
    Ok(states)
}

fn round(devnet: &Devnet, first: usize, states: &[TaskState], used: Cost) -> Result<Round> {
    let requests = devnet.requests();
    let completed =
        requests.iter().skip(first).filter(|request| request.endpoint == Some(Endpoint::Complete));
    let completed: Vec<_> = completed.collect();
    let mut times = Vec::new();
    for state in states {
        let leased = state.leases.first().context("a task that was never leased")?.at;
        let id = state.id.to_string();
        // From the end: the requests come in about the order of the tasks.
        let end = completed.iter().find(|request| request.path.contains(&id)).context("a `complete`")?;
        times.push(end.at + end.took.unwrap_or_default() - leased);
    }
    let begin = states.iter().filter_map(|state| state.leases.first()).map(|lease| lease.at).min();
    let end = completed.iter().map(|request| request.at + request.took.unwrap_or_default()).max();
    let all = end.context("an end")? - begin.context("a beginning")?;
    Ok(Round { tasks: u32::try_from(states.len()).unwrap_or(u32::MAX), times, all, used })
}
