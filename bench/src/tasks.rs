//! Whole tasks that do nothing, through a node and its job server: how many a second, how long one takes, and what it costs.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use posemesh_devnet::{Devnet, DevnetConfig, Endpoint, TaskState, TaskStatus};
use posemesh_tests::{NOOP, NodeProcess, node_binary, plugin, reference_binary, variables};
use serde_json::json;
use uuid::Uuid;

use crate::cpu::{Cost, cost};
use crate::sample::{Sample, ThreeDigits};

/// Tasks before the measurement, for each that may run at once.
const WARM_UP: usize = 5;
/// How long a task may take to begin and end.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The capability of the reference node.
const REFERENCE: &str = "/posemesh/reference/v1";

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Tasks of each measurement of our node
    #[arg(long, default_value_t = 2000)]
    tasks: usize,
    /// Tasks of the reference node, which waits between them; 0 leaves it out
    #[arg(long, default_value_t = 50)]
    reference_tasks: usize,
    /// How many run at once (MAX_CONCURRENCY), with commas
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32, 128])]
    concurrency: Vec<usize>,
    /// Measure with SANDBOX=off too
    #[arg(long)]
    sandbox_off: bool,
}

#[derive(Clone, Copy)]
struct Measured {
    who: &'static str,
    concurrency: usize,
    tasks: usize,
    sandbox: Option<&'static str>,
}

/// Prints the table.
pub(crate) async fn measure(options: &Options) -> Result<()> {
    println!("## Tasks that do nothing, from lease to completion\n");
    println!(
        "| node | at once | tasks a second | median | 99 % | processor time a task: node | its processes | context switches a task |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    for &concurrency in &options.concurrency {
        let tasks = options.tasks.max(1);
        row(Measured { who: "posemesh-node", concurrency, tasks, sandbox: None }).await?;
        if options.sandbox_off {
            let who = "posemesh-node, SANDBOX=off";
            row(Measured { who, concurrency, tasks, sandbox: Some("off") }).await?;
        }
    }
    if options.reference_tasks > 0 {
        let who = "posemesh-compute-node 0.3.3";
        row(Measured { who, concurrency: 1, tasks: options.reference_tasks, sandbox: None }).await?;
    }
    println!();
    Ok(())
}

async fn row(what: Measured) -> Result<()> {
    let dir = tempfile::tempdir().context("making a folder")?;
    let config = DevnetConfig { leases_per_node: what.concurrency, ..DevnetConfig::default() };
    let devnet = Devnet::start(config).await.context("starting a devnet")?;
    let plugins = dir.path().join("plugins");
    std::fs::create_dir(&plugins).context("making a folder")?;
    std::fs::copy(plugin("noop"), plugins.join("noop.wasm")).context("copying the runner `noop`")?;
    let mut variables = variables(&devnet, &plugins, &dir.path().join("node"));
    variables.insert("ENABLE_NOOP".to_owned(), "true".to_owned());
    variables.insert("MAX_CONCURRENCY".to_owned(), what.concurrency.to_string());
    if let Some(sandbox) = what.sandbox {
        variables.insert("SANDBOX".to_owned(), sandbox.to_owned());
    }
    let is_reference = what.who.contains("compute-node");
    let (mut process, capability) = if is_reference {
        variables.insert("REFERENCE_RUNNER".to_owned(), "nothing".to_owned());
        (NodeProcess::start(&reference_binary(), &[], &variables), REFERENCE)
    } else {
        (NodeProcess::start(&node_binary(), &["run"], &variables), NOOP)
    };
    let pid = process.id().to_string();

    let warm = submit(&devnet, capability, WARM_UP * what.concurrency)?;
    ended(&devnet, &warm).await?;
    let before = cost(&pid)?;
    let first = devnet.requests().len();
    let tasks = submit(&devnet, capability, what.tasks)?;
    let states = ended(&devnet, &tasks).await?;
    let used = cost(&pid)?.since(before);
    print(&devnet, what, first, &states, used)?;
    if is_reference {
        process.kill().await
    } else {
        _ = process.terminate().await
    }
    devnet.shutdown().await;
    Ok(())
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
    for task in tasks {
        let state = devnet.wait_for_task_end(*task, TIMEOUT).await.context("waiting for a task")?;
        ensure!(state.status == TaskStatus::Completed, "a task is {:?}: {:?}", state.status, state.failures);
        states.push(state);
    }
    Ok(states)
}

fn print(devnet: &Devnet, what: Measured, first: usize, states: &[TaskState], used: Cost) -> Result<()> {
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
    let count = u32::try_from(states.len()).unwrap_or(u32::MAX);
    println!(
        "| {} | {} | {:.0} | {} | {} | {} | {:.1} |",
        what.who,
        what.concurrency,
        f64::from(count) / all.as_secs_f64(),
        Sample::new(times),
        ThreeDigits(used.own / count),
        ThreeDigits(used.children / count),
        used.switches as f64 / f64::from(count)
    );
    Ok(())
}
