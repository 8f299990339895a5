//! A task with very many small inputs, which its runner reads one after the other.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use posemesh_devnet::{Devnet, DevnetConfig, TaskStatus};
use posemesh_tests::guests::README;
use posemesh_tests::{NodeProcess, node_binary, reference_binary, variables};
use serde_json::json;
use tempfile::TempDir;

use crate::cpu::cost;
use crate::report::{Report, progress};
use crate::results::{Figure, Table, Unit};

/// How long one task may take.
const TIMEOUT: Duration = Duration::from_secs(1200);
/// The runner of the README, which counts bytes and lines.
const COUNT: &str = "/example/count/v1";
const REFERENCE: &str = "/posemesh/reference/v1";

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Inputs of the tasks, with commas
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100, 1000, 10_000])]
    inputs: Vec<usize>,
    /// Size of each input, in bytes
    #[arg(long, default_value_t = 4096)]
    bytes: usize,
    /// How many tasks are measured with each number of inputs
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Leave the reference node out
    #[arg(long)]
    no_reference: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Ours,
    Reference,
}

/// Measures both nodes with ever more inputs.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Result<()> {
    let title = format!("A task with many inputs of {} bytes each, from lease to completion", options.bytes);
    let mut table = Table::new("inputs", title)
        .by("inputs")
        .column("time", Unit::Seconds)
        .column("of an input", Unit::Seconds)
        .column("processor time: node and its processes", Unit::Seconds);
    for &inputs in &options.inputs {
        for who in [Who::Ours, Who::Reference] {
            if who == Who::Reference && options.no_reference {
                continue;
            }
            progress(format_args!("{}, {inputs} inputs", who.name()));
            let (times, used) = tasks(who, (inputs, options.bytes), options.repeat.max(1)).await?;
            let took = Figure::of_times(&times);
            let each = took.map(|time| time / inputs.max(1) as f64);
            table.row(
                who.name(),
                Some(inputs as f64),
                [Some(took), Some(each), Some(Figure::of_times(&used))],
            );
        }
    }
    report.table(table);
    Ok(())
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "posemesh-node",
            Self::Reference => "posemesh-compute-node 0.3.3",
        }
    }
}

/// A node of its own; how long each task took it, and its processor time.
async fn tasks(
    who: Who,
    (inputs, bytes): (usize, usize),
    repeat: usize,
) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let dir = tempfile::tempdir().context("making a folder")?;
    let config = DevnetConfig {
        // The reference node takes one failed heartbeat for a lost lease.
        lease_ttl: Duration::from_secs(1200),
        task_token_ttl: Duration::from_secs(3600),
        task_token_overlap: Duration::from_secs(3600),
        ..DevnetConfig::default()
    };
    let devnet = Devnet::start(config).await.context("starting a devnet")?;
    let mut node = start(who, &devnet, &dir)?;
    let pid = node.id().to_string();
    let data = Bytes::from(vec![b'x'; bytes]);
    let mut urls = Vec::new();
    for number in 0..inputs {
        let id = devnet.put_data(&format!("small-{number}"), "binary", data.clone()).await;
        urls.push(devnet.data_url(id.context("storing an input")?));
    }
    // The first task compiles, connects and allocates.
    run(&devnet, who, urls.get(..1).unwrap_or_default(), &node).await?;
    let (mut times, mut used) = (Vec::new(), Vec::new());
    for _ in 0..repeat {
        let before = cost(&pid)?;
        times.push(run(&devnet, who, &urls, &node).await?);
        let spent = cost(&pid)?.since(before);
        used.push(spent.own + spent.children);
    }
    match who {
        Who::Ours => drop(node.terminate().await),
        Who::Reference => node.kill().await,
    }
    devnet.shutdown().await;
    Ok((times, used))
}

fn start(who: Who, devnet: &Devnet, dir: &TempDir) -> Result<NodeProcess> {
    let plugins = dir.path().join("plugins");
    std::fs::create_dir(&plugins).context("making a folder")?;
    let mut variables = variables(devnet, &plugins, &dir.path().join("node"));
    if who == Who::Reference {
        variables.insert("TMPDIR".to_owned(), dir.path().display().to_string());
        variables.insert("REFERENCE_RUNNER".to_owned(), "read".to_owned());
        return Ok(NodeProcess::start(&reference_binary(), &[], &variables));
    }
    std::fs::copy(README.path(), plugins.join("count.wasm")).context("copying the runner of the README")?;
    // A thousand inputs are enough for most runners.
    std::fs::write(plugins.join("count.toml"), "[limits]\ninput_requests = 1000000\n")
        .context("writing the policy of the runner")?;
    Ok(NodeProcess::start(&node_binary(), &["run"], &variables))
}

/// From the lease of a task to its end.
async fn run(devnet: &Devnet, who: Who, inputs: &[String], node: &NodeProcess) -> Result<Duration> {
    let capability = if who == Who::Ours { COUNT } else { REFERENCE };
    let task = json!({"label": "many", "stage": "many", "capability": capability, "max_attempts": 1,
                      "inputs_cids": inputs, "outputs_prefix": "out", "meta": {}});
    let job = devnet.submit_job(json!({"label": "bench", "tasks": [task]})).context("submitting a job")?;
    let task = *job.tasks.first().context("a task")?;
    let ended = devnet.wait_for_task_end(task, TIMEOUT).await.with_context(|| node.log())?;
    let now = std::time::Instant::now();
    ensure!(ended.status == TaskStatus::Completed, "it is {:?}: {:?}", ended.status, ended.failures);
    Ok(now.duration_since(ended.leases.first().context("a lease")?.at))
}
