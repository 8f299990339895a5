//! The pen: a devnet, a node with the runners of one group, a marathon task that never stops beating, and
//! a neighbour for each behaviour.

use std::path::Path;
use std::time::{Duration, Instant};

use posemesh_devnet::{Devnet, DevnetConfig, TaskState, TaskStatus};
use posemesh_tests::{NodeProcess, guest, plugins_dir, plugins_with, variables};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

/// How long anything may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(90);
/// The life of a lease.
const LEASE_TTL: Duration = Duration::from_secs(8);
/// A longer gap between two heartbeats is a rhythm lost: half of the lease's life is gone. They come each
/// 250 ms while a task reports progress, so this is wide, since the machine may be busy.
const LONGEST_GAP: Duration = Duration::from_secs(4);
/// How much later than it would alone the neighbour may finish: it sleeps for 300 ms.
const NEIGHBOUR_PATIENCE: Duration = Duration::from_secs(20);

/// How a behaviour should end.
pub enum Expect<'a> {
    /// The task fails; its reason and details together contain each of these.
    Fails(&'a [&'a str]),
    /// The task completes: the runner found nothing.
    Completes,
}

/// A node and everything around it.
pub struct Pen {
    pub devnet: Devnet,
    pub node: NodeProcess,
    pub plugins: TempDir,
    work: TempDir,
    marathon: (Uuid, Uuid),
    opened: Instant,
    faults: Vec<String>,
}

impl Pen {
    /// Starts a node with these runners, each with its `NAME.toml`, and the marathon.
    pub async fn open(runners: &[(&str, &str)], more: &[(&str, &str)]) -> Self {
        let guests: Vec<_> = runners.iter().map(|(name, _)| guest(name)).collect();
        let plugins = plugins_with(&guests.iter().map(AsRef::as_ref).collect::<Vec<&Path>>());
        for (name, policy) in runners {
            std::fs::write(plugins.path().join(format!("{name}.toml")), policy).expect("a policy");
        }
        Self::with_plugins(plugins, more).await
    }

    /// Starts a node with the runners of a folder, and the marathon.
    pub async fn with_plugins(plugins: TempDir, more: &[(&str, &str)]) -> Self {
        let config = DevnetConfig {
            lease_ttl: LEASE_TTL,
            sweep_interval: Duration::from_millis(500),
            leases_per_node: 4,
            ..DevnetConfig::default()
        };
        let devnet = Devnet::start(config).await.expect("a devnet");
        let noop = plugins_dir().join("noop.wasm");
        std::fs::copy(noop, plugins.path().join("noop.wasm")).expect("the neighbour's runner");
        let work = tempfile::tempdir().expect("a folder");
        let mut variables = variables(&devnet, plugins.path(), work.path());
        let ours = [("ENABLE_NOOP", "true"), ("MAX_CONCURRENCY", "3")];
        for (name, value) in ours.iter().chain(more) {
            variables.insert((*name).to_owned(), (*value).to_owned());
        }
        let node = NodeProcess::run(&variables);
        let job = json!({"label": "marathon", "tasks": [noop_task(600_000)]});
        let job = devnet.submit_job(job).expect("a job");
        let marathon = (job.id, job.tasks[0]);
        let pen = Self { devnet, node, plugins, work, marathon, opened: Instant::now(), faults: Vec::new() };
        let running = pen.devnet.wait_for(marathon.1, PATIENCE, |task| task.status == TaskStatus::Running);
        running.await.unwrap_or_else(|error| panic!("{error}; the node printed:\n{}", pen.node.log()));
        pen
    }

    /// Where the tasks of the node have their directories.
    pub fn work_dir(&self) -> std::path::PathBuf {
        self.work.path().join("work")
    }

    /// Waits until a runner has gone live so many times.
    pub async fn wait_live(&self, runner: &str, times: usize) {
        let named = format!("runner={runner:?}");
        let live = |line: &&str| line.contains("runner live") && line.contains(&named);
        let wait = async {
            while self.node.log().lines().filter(live).count() < times {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "{runner} did not go live {times} times:\n{}", self.node.log());
    }

    /// Lets a test runner do one task beside a neighbour, and notes whatever is not as it should be.
    pub async fn check(&mut self, behaviour: &str, runner: &str, meta: Value, expect: Expect<'_>) {
        let began = Instant::now();
        let task = self.submit(runner, meta);
        let neighbour = self.neighbour();
        let state = self.ended(behaviour, task).await;
        self.compare(behaviour, &state, &expect);
        self.finish(behaviour, began, neighbour, Some(task)).await;
    }

    /// Submits a task for a test runner.
    pub fn submit(&self, runner: &str, meta: Value) -> Uuid {
        let capability = format!("/posemesh/test/{}/v1", runner.replace('_', "-"));
        let task =
            json!({"label": runner, "stage": "t", "capability": capability, "meta": meta, "max_attempts": 1});
        self.devnet.submit_job(json!({"label": runner, "tasks": [task]})).expect("a job").tasks[0]
    }

    /// Submits a well-behaved task.
    pub fn neighbour(&self) -> Uuid {
        let job = json!({"label": "neighbour", "tasks": [noop_task(300)]});
        self.devnet.submit_job(job).expect("a job").tasks[0]
    }

    /// Waits for the end of a task.
    pub async fn ended(&mut self, behaviour: &str, task: Uuid) -> TaskState {
        match self.devnet.wait_for_task_end(task, PATIENCE).await {
            Ok(state) => state,
            Err(error) => panic!("{behaviour}: {error}; the node printed:\n{}", tail(&self.node.log())),
        }
    }

    /// What holds after every behaviour: the neighbour finishes, and heartbeats kept coming.
    pub async fn finish(&mut self, behaviour: &str, began: Instant, neighbour: Uuid, task: Option<Uuid>) {
        match self.devnet.wait_for_task_end(neighbour, NEIGHBOUR_PATIENCE).await {
            Ok(state) if state.status == TaskStatus::Completed && state.attempts == 1 => {}
            Ok(state) => self.fault(behaviour, format!("the neighbour was harmed: {state:?}")),
            Err(error) => self.fault(behaviour, format!("the neighbour did not finish in time: {error}")),
        }
        let gap = self.longest_gap(self.marathon.1, began);
        if gap > LONGEST_GAP {
            self.fault(behaviour, format!("the marathon's heartbeats paused for {gap:?}"));
        }
        if let Some(gap) = task.map(|task| self.own_gap(task)).filter(|gap| *gap > LONGEST_GAP) {
            self.fault(behaviour, format!("its own heartbeats paused for {gap:?}"));
        }
        let marathon = self.devnet.task(self.marathon.1).expect("the marathon");
        if marathon.status != TaskStatus::Running || marathon.expired_leases > 0 || marathon.attempts != 1 {
            self.fault(behaviour, format!("the marathon was harmed: {marathon:?}"));
        }
        eprintln!("{behaviour}: {:.1?}, longest pause between heartbeats {gap:.1?}", began.elapsed());
    }

    /// Notes what went wrong.
    pub fn fault(&mut self, behaviour: &str, what: String) {
        self.faults.push(format!("{behaviour}: {what}"));
    }

    fn compare(&mut self, behaviour: &str, state: &TaskState, expect: &Expect<'_>) {
        match expect {
            Expect::Completes if state.status == TaskStatus::Completed => {}
            Expect::Completes => self.fault(behaviour, format!("it should complete: {state:?}")),
            Expect::Fails(wanted) => {
                if state.status != TaskStatus::Failed || state.failures.len() != 1 {
                    return self.fault(behaviour, format!("it should fail once: {state:?}"));
                }
                let failure = &state.failures[0];
                let told = format!("{} {}", failure.reason, failure.details);
                for part in wanted.iter().filter(|part| !told.contains(**part)) {
                    self.faults.push(format!("{behaviour}: {part:?} is not in: {told:.3000}"));
                }
                if told.len() > 64 << 10 {
                    self.fault(behaviour, format!("it told {} bytes", told.len()));
                }
            }
        }
    }

    /// The longest time without a heartbeat of a task since then, up to now.
    fn longest_gap(&self, task: Uuid, since: Instant) -> Duration {
        let mut beats: Vec<Instant> = self.devnet.heartbeats(task).iter().map(|beat| beat.at).collect();
        let before = beats.partition_point(|at| *at < since);
        beats.drain(..before.saturating_sub(1));
        beats.push(Instant::now());
        beats.windows(2).map(|pair| pair[1].duration_since(pair[0])).max().unwrap_or_default()
    }

    /// The longest time between two heartbeats of a task that has ended.
    fn own_gap(&self, task: Uuid) -> Duration {
        let beats = self.devnet.heartbeats(task);
        beats.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at)).max().unwrap_or_default()
    }

    /// Ends the marathon and the node, and says all that went wrong.
    pub async fn close(mut self) {
        let (job, task) = self.marathon;
        self.devnet.cancel_job(job).expect("the marathon's job");
        let state = self.ended("marathon", task).await;
        assert_eq!(state.status, TaskStatus::Canceled, "{state:?}");
        let code = self.node.terminate().await;
        let log = self.node.log();
        if code != 0 {
            self.fault("the node", format!("it ended with {code}"));
        }
        if let Some(line) = log.lines().find(|line| line.starts_with("thread '")) {
            self.fault("the node", format!("the host panicked: {line}"));
        }
        if log.contains("can't be ended") {
            self.fault("the node", "a runner got stuck".to_owned());
        }
        let left: Vec<_> = std::fs::read_dir(self.work_dir())
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.path())
            .collect();
        if !left.is_empty() {
            self.fault("the node", format!("it left {left:?}"));
        }
        self.devnet.shutdown().await;
        eprintln!("the group took {:.1?}", self.opened.elapsed());
        assert!(self.faults.is_empty(), "{}\n\nthe node printed:\n{}", self.faults.join("\n"), tail(&log));
    }
}

fn noop_task(sleep_ms: u64) -> Value {
    json!({"label": "noop", "stage": "t", "capability": "/posemesh/noop/v1", "max_attempts": 1,
           "meta": {"sleep_ms": sleep_ms}})
}

/// The end of a log, so that a flood does not hide what went wrong.
fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().map(|line| line.get(..300).unwrap_or(line)).collect();
    lines[lines.len().saturating_sub(80)..].join("\n")
}
