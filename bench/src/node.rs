//! A node by itself: how soon it asks for work, what it costs while it has none, and what it holds for very many tasks.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use posemesh_devnet::TaskStatus;
use posemesh_tests::NOOP;
use serde_json::json;

use crate::cpu::{cost, descendants};
use crate::memory::field;
use crate::report::{Report, progress};
use crate::results::{Figure, Table, Unit};
use crate::scene::Scene;

/// How long anything here may take.
const TIMEOUT: Duration = crate::scene::TIMEOUT;

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Starts that are measured
    #[arg(long, default_value_t = 20)]
    starts: usize,
    /// How long an idle node is looked at, in seconds
    #[arg(long, default_value_t = 60)]
    idle_secs: u64,
    /// How long it is left alone before that: after its start, a node has things to do that it does once
    #[arg(long, default_value_t = 10)]
    settle_secs: u64,
    /// How many tasks sleep at once
    #[arg(long, default_value_t = 1000)]
    sleepers: usize,
    /// How long they sleep, in seconds: a quarter to begin, a quarter in which they are looked at
    #[arg(long, default_value_t = 120)]
    sleep_secs: u64,
}

/// Measures start, idling and sleeping tasks.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Result<()> {
    report.table(starts(options.starts.max(1)).await?);
    let (settle, time) =
        (Duration::from_secs(options.settle_secs), Duration::from_secs(options.idle_secs.max(1)));
    report.table(idle(settle, time).await?);
    report.table(sleepers(options.sleepers.max(1), Duration::from_secs(options.sleep_secs)).await?);
    Ok(())
}

async fn starts(starts: usize) -> Result<Table> {
    progress("starts of a node");
    let site = Scene::new(1).await?;
    // The first compiles.
    let (mut first, cold) = site.start(&[]).await?;
    // What was compiled in haste to serve soon is compiled once more, and kept.
    let kept = site.path("node/cache");
    let is_code = |name: &std::ffi::OsString| Path::new(name).extension().is_some_and(|end| end == "cwasm");
    let count = || {
        Ok::<_, std::io::Error>(kept.read_dir()?.flatten().filter(|file| is_code(&file.file_name())).count())
    };
    let began = Instant::now();
    while count().unwrap_or_default() < 2 {
        ensure!(began.elapsed() < TIMEOUT, "the runners are not in the cache: {}", first.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    first.terminate().await;
    let mut times = Vec::new();
    for _ in 0..starts {
        let (mut node, took) = site.start(&[]).await?;
        node.terminate().await;
        times.push(took);
    }
    site.devnet.shutdown().await;
    let mut table =
        Table::new("start", "From its start to its first request for work, registration and login included")
            .sides("the cache of compiled runners")
            .column("time", Unit::Seconds)
            .column("99 % within", Unit::Seconds);
    table.row("empty (once)", None, [Some(Figure::one(cold.as_secs_f64())), None]);
    let side = "has `noop` and `pointcloud`";
    table.row(side, None, [Some(Figure::of_times(&times)), Some(Figure::slowest(&times))]);
    Ok(table)
}

async fn idle(settle: Duration, time: Duration) -> Result<Table> {
    progress("a node without work");
    let site = Scene::new(1).await?;
    // As often as it asks for work without settings: tests let it ask more often.
    let usual = [("POLL_BACKOFF_MS_MIN", String::new()), ("POLL_BACKOFF_MS_MAX", String::new())];
    let (mut node, _) = site.start(&usual).await?;
    let pid = node.id().to_string();
    tokio::time::sleep(settle).await;
    let before = cost(&pid)?;
    tokio::time::sleep(time).await;
    let used = cost(&pid)?.since(before);
    let mut table = Table::new("idle", format!("A node without work, over {} s", time.as_secs()))
        .column("processor time, of a core", Unit::Percent)
        .column("context switches", Unit::PerSecond)
        .column("resident memory", Unit::Bytes)
        .column("of that its own", Unit::Bytes);
    let share = (used.own + used.children).as_secs_f64() / time.as_secs_f64() * 100.0;
    let figures = [
        share,
        used.switches as f64 / time.as_secs_f64(),
        field(&pid, "VmRSS:")? as f64,
        field(&pid, "RssAnon:")? as f64,
    ];
    table.row("posemesh-node", None, figures.map(|value| Some(Figure::one(value))));
    node.terminate().await;
    site.devnet.shutdown().await;
    Ok(table)
}

async fn sleepers(count: usize, sleep: Duration) -> Result<Table> {
    progress(format_args!("{count} tasks that sleep"));
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
                      "meta": {"sleep_ms": sleep.as_millis() as u64}});
    let job = json!({"label": "bench", "tasks": vec![task; count]});
    let tasks = site.devnet.submit_job(job).context("submitting a job")?.tasks;
    let began = Instant::now();
    let running = || {
        tasks
            .iter()
            .filter(|id| site.devnet.task(**id).is_some_and(|task| task.status == TaskStatus::Running))
            .count()
    };
    while running() < count && began.elapsed() < sleep {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let filled = began.elapsed();
    let looked = sleep / 4;
    ensure!(
        filled + looked < sleep,
        "the tasks needed {filled:?} to begin: let them sleep longer (--sleep-secs)"
    );
    let (before, held) = (cost(&pid)?, Held::by(&pid)?);
    tokio::time::sleep(looked).await;
    let used = cost(&pid)?.since(before);
    for id in &tasks {
        let ended = site.devnet.wait_for_task_end(*id, TIMEOUT).await.context("waiting for a task")?;
        ensure!(ended.status == TaskStatus::Completed, "a task is {:?}: {:?}", ended.status, ended.failures);
    }
    let mut table = Table::new("sleepers", format!("{count} tasks that sleep, at once on one node"))
        .sides("of")
        .column("resident memory, more for each task", Unit::Bytes)
        .column("threads", Unit::Count)
        .column("descriptors", Unit::Count)
        .column("processor time, of a core", Unit::Percent);
    let each = |now: u64, then: u64| now.saturating_sub(then) as f64 / count as f64;
    let share = |time: Duration| time.as_secs_f64() / looked.as_secs_f64() * 100.0;
    for (side, held, idle, used) in [
        ("the node", held.node, idle.node, used.own),
        ("its processes", held.children, idle.children, used.children),
    ] {
        let figures =
            [each(held.memory, idle.memory), held.threads as f64, held.descriptors as f64, share(used)];
        table.row(side, None, figures.map(|value| Some(Figure::one(value))));
    }
    let (now, given) = (descriptors(&pid)?, descriptors("self")?);
    table.note(format!(
        "All of them ran {} after they were submitted, and all were completed. The node was started with a limit of {} \
         descriptors and runs with {}.",
        Unit::Seconds.shown(filled.as_secs_f64()),
        Unit::Count.shown(given as f64),
        Unit::Count.shown(now as f64)
    ));
    node.terminate().await;
    site.devnet.shutdown().await;
    Ok(table)
}

/// How many descriptors a process may hold.
fn descriptors(pid: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/limits");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    soft.with_context(|| format!("{path} has no number of open files"))
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
            // A compiler may have ended since.
            let Ok(held) = Holding::of(&child) else { continue };
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
