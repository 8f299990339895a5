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
use crate::sample::ThreeDigits;

/// How long one task may take.
const TIMEOUT: Duration = Duration::from_secs(1200);
/// The runner of the README, which counts bytes and lines.
const COUNT: &str = "/example/count/v1";
const REFERENCE: &str = "/posemesh/reference/v1";

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Inputs of the tasks, with commas
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100, 10_000])]
    inputs: Vec<usize>,
    /// Size of each input, in bytes
    #[arg(long, default_value_t = 4096)]
    bytes: usize,
    /// Leave the reference node out
    #[arg(long)]
    no_reference: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Ours,
    Reference,
}

/// Prints the table.
pub(crate) async fn measure(options: &Options) -> Result<()> {
    println!("## A task with many inputs of {} bytes each, from lease to completion\n", options.bytes);
    println!("| inputs | node | time | an input | processor time of the node and its processes |");
    println!("| ---: | --- | ---: | ---: | ---: |");
    for &inputs in &options.inputs {
        row(Who::Ours, inputs, options.bytes).await?;
        if !options.no_reference {
            row(Who::Reference, inputs, options.bytes).await?;
        }
    }
    println!();
    Ok(())
}

async fn row(who: Who, inputs: usize, bytes: usize) -> Result<()> {
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
    let before = cost(&pid)?;
    let took = run(&devnet, who, &urls, &node).await?;
    let used = cost(&pid)?.since(before);
    let name = if who == Who::Ours { "posemesh-node" } else { "posemesh-compute-node 0.3.3" };
    println!(
        "| {inputs} | {name} | {} | {} | {} |",
        ThreeDigits(took),
        ThreeDigits(took / u32::try_from(inputs.max(1)).unwrap_or(u32::MAX)),
        ThreeDigits(used.own + used.children)
    );
    match who {
        Who::Ours => drop(node.terminate().await),
        Who::Reference => node.kill().await,
    }
    devnet.shutdown().await;
    Ok(())
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
