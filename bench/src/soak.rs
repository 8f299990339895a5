//! A node through very many tasks, with faults at its servers: what it has grown by, and whether its history says of each lease
//! what the job server saw.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use posemesh_devnet::{Endpoint, Fault, TaskState, TaskStatus};
use posemesh_tests::{NOOP, NodeProcess, node_binary};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cpu::descendants;
use crate::memory::field;
use crate::scene::{Scene, TIMEOUT};

/// The capability of the runner `pointcloud`.
const POINTCLOUD: &str = "/posemesh/pointcloud/v1";
/// How often the node is looked at.
const LOOKS: usize = 10;

/// What is done.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Tasks that do nothing
    #[arg(long, default_value_t = 100_000)]
    noop: usize,
    /// Tasks that thin a scan
    #[arg(long, default_value_t = 1_000)]
    pointcloud: usize,
    /// The share of all requests that is answered by 503, and of final reports whose answer is cut off
    #[arg(long, default_value_t = 0.01)]
    faults: f64,
    /// How many tasks run at once
    #[arg(long, default_value_t = 8)]
    concurrency: usize,
    /// The scan
    #[arg(long, default_value = "tests/data/dragon/dragon_vrip_res4.ply.gz")]
    scan: PathBuf,
}

/// Prints the table, and whether the history is right.
///
/// # Errors
/// When a task is not completed, or the history is wrong.
pub(crate) async fn measure(options: &Options) -> Result<()> {
    let scene = Scene::new(options.concurrency).await?;
    let scan = scene.devnet.put_file("scan", "ply", &options.scan).await.context("storing the scan")?;
    let scan = scene.devnet.data_url(scan);
    let settings = [
        ("MAX_CONCURRENCY", options.concurrency.to_string()),
        ("DATA_DIR", scene.path("data").display().to_string()),
        ("HISTORY_MAX_BYTES", "1GiB".to_owned()),
        ("RUST_LOG", "error".to_owned()),
    ];
    let (mut node, _) = scene.start(&settings).await?;
    let faults = scene.devnet.faults();
    faults.add(Fault::answer(503, "busy").probability(options.faults));
    faults.add(Fault::drop_after().on(Endpoint::Complete).probability(options.faults));

    println!("## {} tasks that do nothing and {} that thin a scan", options.noop, options.pointcloud);
    println!("\n{} of all requests fail.\n", options.faults);
    println!(
        "| tasks | after | tasks a second | resident: node | its processes | descriptors | threads |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    let began = Instant::now();
    look(&node, 0, began.elapsed(), Duration::ZERO, 0)?;
    let mut ended = BTreeMap::new();
    for round in 0..LOOKS {
        let share = |tasks: usize| tasks * (round + 1) / LOOKS - tasks * round / LOOKS;
        let this_round = Instant::now();
        let tasks = submit(&scene, share(options.noop), share(options.pointcloud), &scan)?;
        for task in &tasks {
            let state = scene.devnet.wait_for_task_end(*task, TIMEOUT).await;
            let state = state.with_context(|| format!("waiting for a task: {}", node.log()))?;
            ended.insert(task.to_string(), state);
        }
        look(&node, ended.len(), began.elapsed(), this_round.elapsed(), tasks.len())?;
    }
    node.terminate().await;
    compare(&scene, &settings, &ended)?;
    scene.devnet.shutdown().await;
    Ok(())
}

fn submit(scene: &Scene, noop: usize, pointcloud: usize, scan: &str) -> Result<Vec<Uuid>> {
    // Faults cost attempts: whether a task is completed is not the question.
    let noop =
        (0..noop).map(|_| json!({"label": "noop", "stage": "noop", "capability": NOOP, "max_attempts": 20}));
    let thin = |_| {
        json!({
            "label": "thin", "stage": "thin", "capability": POINTCLOUD, "inputs_cids": [scan],
            "outputs_prefix": format!("soak-{}", Uuid::new_v4()), "meta": {"voxel_size": 0.01},
            "max_attempts": 20,
        })
    };
    let tasks: Vec<Value> = noop.chain((0..pointcloud).map(thin)).collect();
    Ok(scene.devnet.submit_job(json!({"label": "soak", "tasks": tasks})).context("submitting a job")?.tasks)
}

/// A line about the node of this moment.
fn look(node: &NodeProcess, tasks: usize, after: Duration, took: Duration, of: usize) -> Result<()> {
    let pid = node.id().to_string();
    let mut children = 0;
    for child in descendants(&pid) {
        // One that ends meanwhile has none.
        children += field(&child, "VmRSS:").unwrap_or_default();
    }
    let entries = |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).map(Iterator::count);
    let speed = if of == 0 { 0.0 } else { of as f64 / took.as_secs_f64() };
    println!(
        "| {tasks} | {} s | {speed:.0} | {} | {} | {} | {} |",
        after.as_secs(),
        mib(field(&pid, "VmRSS:")?),
        mib(children),
        entries("fd").context("counting descriptors")?,
        entries("task").context("counting threads")?
    );
    Ok(())
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// Compares the history with what the job server saw.
fn compare(scene: &Scene, settings: &[(&str, String)], ended: &BTreeMap<String, TaskState>) -> Result<()> {
    let mut command = Command::new(node_binary());
    command.args(["tasks", "--json", "--limit", "1000000"]).env_clear().envs(scene.variables(settings));
    let output = command.output().context("reading the history")?;
    let told: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("reading the history: {}", String::from_utf8_lossy(&output.stderr)))?;
    let rows = told.get("tasks").and_then(Value::as_array).context("no tasks in the history")?;
    let mut by_task: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for row in rows {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        *by_task.entry(text("task")).or_default().entry(text("outcome")).or_default() += 1;
    }
    let (mut completed, mut leases, mut wrong) = (0, 0, Vec::new());
    for (id, task) in ended {
        let history = by_task.get(id.as_str()).cloned().unwrap_or_default();
        let count = |outcome: &str| history.get(outcome).copied().unwrap_or_default();
        let rows: usize = history.values().sum();
        let expired = usize::try_from(task.expired_leases).unwrap_or_default();
        let missing = task.leases.len() - rows.min(task.leases.len());
        // A lease whose answer was lost is known to the job server alone, and has expired there.
        let agrees = rows <= task.leases.len()
            && missing <= expired
            && count("completed") == task.completions.len()
            && count("failed") == task.failures.len();
        if !agrees {
            wrong.push(format!("{id}: history {history:?}, job server {task:?}"));
        }
        completed += usize::from(task.status == TaskStatus::Completed);
        leases += task.leases.len();
    }
    println!(
        "\nThe job server granted {leases} leases on {} tasks, {completed} of which are completed; the history has {} leases, and \
         disagrees about {} tasks.\n",
        ended.len(),
        rows.len(),
        wrong.len()
    );
    ensure!(
        wrong.is_empty(),
        "the history is wrong about:\n{}",
        wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n")
    );
    Ok(())
}
