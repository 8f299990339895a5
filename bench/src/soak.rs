//! A node through very many tasks, with faults at its servers: what it has grown by, and whether its history says of each lease
//! what the job server saw.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use posemesh_devnet::{Endpoint, Fault, SubmittedJob, TaskState, TaskStatus};
use posemesh_tests::{NOOP, NodeProcess, node_binary};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cpu::descendants;
use crate::memory::field;
use crate::scene::Scene;
use crate::size::Mib;

/// The capability of the runner `pointcloud`.
const POINTCLOUD: &str = "/posemesh/pointcloud/v1";
/// In how many jobs the tasks are submitted, one after the other; the node is looked at after each.
const JOBS: usize = 10;
/// How long a task may take to end: the machine may have other work.
const PATIENCE: Duration = Duration::from_secs(1800);
/// Leases that a task may get: faults may cost some, and whether they do is told.
const ATTEMPTS: u32 = 20;
/// Tasks about which the history is wrong that are shown.
const SHOWN: usize = 5;

/// What is done.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Tasks that do nothing
    #[arg(long, default_value_t = 100_000)]
    tasks: usize,
    /// Tasks that thin a scan
    #[arg(long, default_value_t = 1_000)]
    pointclouds: usize,
    /// The share of all requests that is answered by 503, and of final reports whose answer is cut off
    #[arg(long, default_value_t = 0.01)]
    faults: f64,
    /// Submit no further job after this time
    #[arg(long)]
    seconds: Option<u64>,
    /// How many tasks run at once
    #[arg(long, default_value_t = 8)]
    concurrency: usize,
    /// The scan, a PLY file compressed with gzip
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/dragon/dragon_vrip_res4.ply.gz"))]
    scan: PathBuf,
}

/// Prints a line after each tenth of the tasks, and whether each ended once and the history is right.
///
/// # Errors
/// When a task does not end, or ends twice, or the history is wrong.
pub(crate) async fn measure(options: &Options) -> Result<()> {
    let scene = Scene::new(options.concurrency).await?;
    let scan = scene.devnet.put_file("scan", "ply_gz", &options.scan).await.context("storing the scan")?;
    let scan = scene.devnet.data_url(scan);
    let settings = [
        ("MAX_CONCURRENCY", options.concurrency.to_string()),
        ("DATA_DIR", scene.path("data").display().to_string()),
        ("HISTORY_MAX_BYTES", "1GiB".to_owned()),
        // The log is kept in the memory of this process.
        ("RUST_LOG", "error".to_owned()),
    ];
    let (mut node, _) = scene.start(&settings).await?;
    let faults = scene.devnet.faults();
    let refused = faults.add(Fault::answer(503, "busy").probability(options.faults));
    let cut = faults.add(Fault::drop_after().on(Endpoint::Complete).probability(options.faults));

    println!("## {} tasks that do nothing and {} that thin a scan\n", options.tasks, options.pointclouds);
    println!(
        "| tasks | after | tasks a second | resident: node | its processes | descriptors | threads | WORK_DIR | DATA_DIR |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    let began = Instant::now();
    let mut ended: BTreeMap<Uuid, TaskState> = BTreeMap::new();
    look(&scene, &node, 0, Duration::ZERO, "")?;
    for job in 0..JOBS {
        if options.seconds.is_some_and(|seconds| began.elapsed().as_secs() >= seconds) {
            println!("\n{job} of {JOBS} jobs were submitted within {} s.", began.elapsed().as_secs());
            break;
        }
        let share = |tasks: usize| tasks * (job + 1) / JOBS - tasks * job / JOBS;
        let job_began = Instant::now();
        let job = submit(&scene, share(options.tasks), share(options.pointclouds), &scan)?;
        for id in &job.tasks {
            let state = scene.devnet.wait_for_task_end(*id, PATIENCE).await;
            let state =
                state.with_context(|| format!("waiting for a task; the node says: {}", node.log()))?;
            ended.insert(*id, state);
        }
        let speed = job.tasks.len() as f64 / job_began.elapsed().as_secs_f64();
        look(&scene, &node, ended.len(), began.elapsed(), &format!("{speed:.0}"))?;
        // The devnet looks through all tasks that it knows for each lease; a real server has an index.
        scene.devnet.delete_job(job.id).context("deleting a job that has ended")?;
    }
    let hits = |fault| faults.hits(fault).unwrap_or_default();
    println!(
        "\n{} requests were answered by 503, and {} final reports not at all.",
        hits(refused),
        hits(cut)
    );
    let code = node.terminate().await;
    ensure!(code == 0, "the node ended with {code}: {}", node.log());
    compare(&scene, &settings, &ended)?;
    scene.devnet.shutdown().await;
    Ok(())
}

fn submit(scene: &Scene, noop: usize, pointcloud: usize, scan: &str) -> Result<SubmittedJob> {
    let noop = (0..noop).map(|_| {
        // Without `sleep_ms` such a task sleeps for five seconds.
        json!({"label": "noop", "stage": "noop", "capability": NOOP, "max_attempts": ATTEMPTS, "meta": {"sleep_ms": 0}})
    });
    let thin = |_| {
        json!({
            "label": "thin", "stage": "thin", "capability": POINTCLOUD, "inputs_cids": [scan],
            "outputs_prefix": format!("soak-{}", Uuid::new_v4()), "meta": {"voxel_size": 0.01},
            "max_attempts": ATTEMPTS,
        })
    };
    // Those with data first, so that each job has both kinds at once.
    let tasks: Vec<Value> = (0..pointcloud).map(thin).chain(noop).collect();
    scene.devnet.submit_job(json!({"label": "soak", "tasks": tasks})).context("submitting a job")
}

/// A line about the node of this moment.
fn look(scene: &Scene, node: &NodeProcess, tasks: usize, after: Duration, speed: &str) -> Result<()> {
    let pid = node.id().to_string();
    // A process that ends meanwhile has none.
    let children = descendants(&pid).iter().map(|child| field(child, "VmRSS:").unwrap_or_default()).sum();
    let entries = |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).map(Iterator::count);
    println!(
        "| {tasks} | {} s | {speed} | {} | {} | {} | {} | {} KiB | {} KiB |",
        after.as_secs(),
        Mib(field(&pid, "VmRSS:")?),
        Mib(children),
        entries("fd").context("counting descriptors")?,
        entries("task").context("counting threads")?,
        bytes_below(&scene.path("node/work")).div_ceil(1024),
        bytes_below(&scene.path("data")).div_ceil(1024),
    );
    Ok(())
}

/// Bytes of the files below a folder. What goes meanwhile does not count.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let bytes_of = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        let metadata = entry.metadata().ok()?;
        Some(if metadata.is_dir() { bytes_below(&entry.path()) } else { metadata.len() })
    };
    entries.filter_map(bytes_of).sum()
}

/// Compares the history with what the job server saw.
fn compare(scene: &Scene, settings: &[(&str, String)], ended: &BTreeMap<Uuid, TaskState>) -> Result<()> {
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
    let nothing = BTreeMap::new();
    for (id, task) in ended {
        let history = by_task.get(id.to_string().as_str()).unwrap_or(&nothing);
        if !(ended_once(task) && agrees(task, history)) {
            wrong.push(format!("{id}: history {history:?}, job server {task:?}"));
        }
        completed += usize::from(task.status == TaskStatus::Completed);
        leases += task.leases.len();
    }
    println!(
        "The job server granted {leases} leases on {} tasks, {completed} of which are completed, each once; the history has {} \
         leases, and disagrees about {} tasks.\n",
        ended.len(),
        rows.len(),
        wrong.len()
    );
    let shown = wrong.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    ensure!(wrong.is_empty(), "the job server or the history is wrong about:\n{shown}");
    Ok(())
}

/// Whether a task has one end: completed by one call, or failed by as many as it may have leases.
fn ended_once(task: &TaskState) -> bool {
    let attempts = task.completions.len() + task.failures.len() + task.expired_leases as usize;
    let completions = usize::from(task.status == TaskStatus::Completed);
    task.status.is_end() && task.completions.len() == completions && attempts == task.leases.len()
}

/// Whether the leases of a task in the history, counted by how they ended, are those that the job server granted.
fn agrees(task: &TaskState, history: &BTreeMap<&str, usize>) -> bool {
    let count = |outcome: &str| history.get(outcome).copied().unwrap_or_default();
    let rows: usize = history.values().sum();
    // A lease whose answer was lost is known to the job server alone, and has expired there.
    let missing = task.leases.len().checked_sub(rows);
    missing.is_some_and(|missing| missing <= task.expired_leases as usize)
        && count("completed") == task.completions.len()
        && count("failed") == task.failures.len()
}
