//! A node by itself: how soon it asks for work, what it costs while it has none, and what it holds for very many tasks.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use posemesh_devnet::TaskStatus;
use posemesh_tests::NOOP;
use serde_json::json;

use crate::cpu::{cost, descendants};
use crate::memory::field;
use crate::sample::{Sample, ThreeDigits};
use crate::scene::Scene;

/// How long anything here may take.
const TIMEOUT: Duration = crate::scene::TIMEOUT;
/// After its start, a node has things to do that it does once.
const SETTLE: Duration = Duration::from_secs(10);

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Starts that are measured
    #[arg(long, default_value_t = 20)]
    starts: usize,
    /// How long an idle node is looked at, in seconds
    #[arg(long, default_value_t = 60)]
    idle_secs: u64,
    /// How many tasks sleep at once
    #[arg(long, default_value_t = 1000)]
    sleepers: usize,
}

/// Prints the tables.
pub(crate) async fn measure(options: &Options) -> Result<()> {
    starts(options.starts).await?;
    idle(Duration::from_secs(options.idle_secs)).await?;
    sleepers(options.sleepers).await
}

async fn starts(count: usize) -> Result<()> {
    let site = Scene::new(1).await?;
    // The first compiles.
    let (mut first, cold) = site.start(&[]).await?;
    first.terminate().await;
    let mut times = Vec::new();
    for _ in 0..count.max(1) {
        let (mut node, took) = site.start(&[]).await?;
        node.terminate().await;
        times.push(took);
    }
    println!("## From its start to its first request for work, registration and login included\n");
    println!("| the cache of compiled runners | median | 99 % |\n| --- | ---: | ---: |");
    println!("| empty (once) | {} | |", ThreeDigits(cold));
    println!("| has `noop` and `pointcloud` ({} times) | {} |\n", times.len(), Sample::new(times));
    site.devnet.shutdown().await;
    Ok(())
}

async fn idle(time: Duration) -> Result<()> {
    let site = Scene::new(1).await?;
    // As often as it asks for work without settings: tests let it ask more often.
    let usual = [("POLL_BACKOFF_MS_MIN", String::new()), ("POLL_BACKOFF_MS_MAX", String::new())];
    let (mut node, _) = site.start(&usual).await?;
    let pid = node.id().to_string();
    tokio::time::sleep(SETTLE).await;
    let before = cost(&pid)?;
    tokio::time::sleep(time).await;
    let used = cost(&pid)?.since(before);
    println!("## A node without work, over {} s\n", time.as_secs());
    println!("| | |\n| --- | ---: |");
    let share = (used.own + used.children).as_secs_f64() / time.as_secs_f64() * 100.0;
    println!("| processor time, of a core | {share:.2} % |");
    println!("| context switches a second | {:.1} |", used.switches as f64 / time.as_secs_f64());
    println!("| resident memory | {} |", mib(field(&pid, "VmRSS:")?));
    println!("| of that its own | {} |\n", mib(field(&pid, "RssAnon:")?));
    node.terminate().await;
    site.devnet.shutdown().await;
    Ok(())
}

async fn sleepers(count: usize) -> Result<()> {
    let site = Scene::new(count).await?;
    let settings = [
        ("MAX_CONCURRENCY", count.to_string()),
        // They are promised what their limits allow, and use little of it.
        ("MEMORY_BUDGET", "1TiB".to_owned()),
    ];
    std::fs::write(site.path("plugins/noop.toml"), "[limits]\nscratch_bytes = 65536\nscratch_files = 8\n")
        .context("writing the policy of `noop`")?;
    let (mut node, _) = site.start(&settings).await?;
    let pid = node.id().to_string();
    let idle = Held::by(&pid)?;
    let task = json!({"label": "noop", "stage": "noop", "capability": NOOP, "max_attempts": 1,
                      "meta": {"sleep_ms": 120_000}});
    let job = json!({"label": "bench", "tasks": vec![task; count]});
    let tasks = site.devnet.submit_job(job).context("submitting a job")?.tasks;
    let began = Instant::now();
    let running = || {
        tasks
            .iter()
            .filter(|id| site.devnet.task(**id).is_some_and(|task| task.status == TaskStatus::Running))
            .count()
    };
    while running() < count {
        ensure!(began.elapsed() < TIMEOUT, "{} of {count} tasks run: {}", running(), node.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let filled = began.elapsed();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (before, held) = (cost(&pid)?, Held::by(&pid)?);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let used = cost(&pid)?.since(before);
    for id in &tasks {
        let ended = site.devnet.wait_for_task_end(*id, TIMEOUT).await.context("waiting for a task")?;
        ensure!(ended.status == TaskStatus::Completed, "a task is {:?}: {:?}", ended.status, ended.failures);
    }
    let each = |now: u64, then: u64| format!("{} KiB", now.saturating_sub(then) / count as u64 / 1024);
    println!("## {count} tasks that sleep, at once on one node\n");
    println!("| | the node | its processes |\n| --- | ---: | ---: |");
    println!(
        "| resident memory, more for each task | {} | {} |",
        each(held.node.memory, idle.node.memory),
        each(held.children.memory, idle.children.memory)
    );
    println!("| threads | {} | {} |", held.node.threads, held.children.threads);
    println!("| descriptors | {} | {} |", held.node.descriptors, held.children.descriptors);
    println!(
        "| processor time, of a core | {:.1} % | {:.1} % |",
        used.own.as_secs_f64() * 5.0,
        used.children.as_secs_f64() * 5.0
    );
    println!(
        "\nAll of them ran {} after they were submitted, and all were completed.\n",
        ThreeDigits(filled)
    );
    node.terminate().await;
    site.devnet.shutdown().await;
    Ok(())
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// What a node and its processes hold.
struct Held {
    node: Holding,
    children: Holding,
}

#[derive(Default)]
struct Holding {
    memory: u64,
    threads: usize,
    descriptors: usize,
}

impl Held {
    fn by(pid: &str) -> Result<Self> {
        let mut children = Holding::default();
        for child in descendants(pid) {
            let held = Holding::of(&child)?;
            children.memory += held.memory;
            children.threads += held.threads;
            children.descriptors += held.descriptors;
        }
        Ok(Self { node: Holding::of(pid)?, children })
    }
}

impl Holding {
    fn of(pid: &str) -> Result<Self> {
        let count = |folder: &str| {
            let folder = Path::new("/proc").join(pid).join(folder);
            Ok::<_, anyhow::Error>(
                std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?.count(),
            )
        };
        Ok(Self { memory: field(pid, "VmRSS:")?, threads: count("task")?, descriptors: count("fd")? })
    }
}
