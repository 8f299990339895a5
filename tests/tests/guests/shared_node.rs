//! The node that a group of guests shares: with a devnet, a background task whose heartbeats show that the
//! node still works, and a neighbour task for each behaviour.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use posemesh_devnet::{Devnet, DevnetConfig, TaskState, TaskStatus};
use posemesh_tests::guests::Guest;
use posemesh_tests::{NOOP, NodeProcess, plugin, plugins_with, variables, warm};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::usage::MemoryWatch;

/// How long a test waits for one event, on a loaded machine.
const TIMEOUT: Duration = Duration::from_secs(90);
/// How long it waits until a runner is live, which may be the last of many to be compiled.
const LIVE_TIMEOUT: Duration = Duration::from_secs(300);
/// Time after which a lease without a heartbeat expires.
const LEASE_TTL: Duration = Duration::from_secs(8);
/// Longest accepted gap between two heartbeats: half of the lease's life. They are due every 250 ms while a
/// task reports progress; the rest is for a loaded machine.
const LONGEST_GAP: Duration = Duration::from_secs(4);
/// How long the neighbour may take, which sleeps for 300 ms.
const NEIGHBOUR_TIMEOUT: Duration = Duration::from_secs(20);

/// How a behaviour should end.
pub(crate) enum Expect<'a> {
    /// The task fails; its reason and details together contain each of these.
    Fails(&'a [&'a str]),
    /// The task completes: the guest found nothing that it was not given.
    Completes,
}

/// A running node, its devnet and folders, and what has gone wrong so far.
pub(crate) struct SharedNode {
    pub(crate) devnet: Devnet,
    pub(crate) node: NodeProcess,
    pub(crate) plugins: TempDir,
    work: TempDir,
    /// Job and task that run from the start to the end.
    background: (Uuid, Uuid),
    opened: Instant,
    failures: Vec<String>,
}

impl SharedNode {
    /// Starts a node with these guests, each with its policy, and the background task.
    pub(crate) async fn with_guests(guests: &[(Guest, &str)], more: &[(&str, &str)]) -> Self {
        Self::with_plugins(guests_with_policies(guests), more).await
    }

    /// Starts a node with the runners of a folder, and the background task.
    pub(crate) async fn with_plugins(plugins: TempDir, more: &[(&str, &str)]) -> Self {
        let config = DevnetConfig {
            lease_ttl: LEASE_TTL,
            sweep_interval: Duration::from_millis(500),
            leases_per_node: 4,
            ..DevnetConfig::default()
        };
        let devnet = Devnet::start(config).await.expect("a devnet");
        std::fs::copy(plugin("noop"), plugins.path().join("noop.wasm")).expect("the noop runner");
        let work = tempfile::tempdir().expect("a folder");
        let mut variables = variables(&devnet, plugins.path(), work.path());
        let ours = [("ENABLE_NOOP", "true"), ("MAX_CONCURRENCY", "3")];
        for (name, value) in ours.iter().chain(more) {
            variables.insert((*name).to_owned(), (*value).to_owned());
        }
        warm(&work.path().join("cache"), plugins.path());
        let node = NodeProcess::run(&variables);
        let job = json!({"label": "background", "tasks": [noop_task(600_000)]});
        let job = devnet.submit_job(job).expect("a job");
        let background = (job.id, job.tasks[0]);
        let shared =
            Self { devnet, node, plugins, work, background, opened: Instant::now(), failures: Vec::new() };
        let running =
            shared.devnet.wait_for(background.1, TIMEOUT, |task| task.status == TaskStatus::Running);
        running.await.unwrap_or_else(|error| panic!("{error}; the node printed:\n{}", shared.node.log()));
        shared
    }

    /// The folder with the directories of tasks.
    pub(crate) fn work_dir(&self) -> PathBuf {
        self.work.path().join("work")
    }

    /// Waits until this many generations of a runner have gone live.
    pub(crate) async fn wait_live(&self, runner: &str, times: usize) {
        let named = format!("runner={runner:?}");
        let live = |line: &&str| line.contains("runner live") && line.contains(&named);
        let wait = async {
            while self.node.log().lines().filter(live).count() < times {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let waited = tokio::time::timeout(LIVE_TIMEOUT, wait).await;
        assert!(waited.is_ok(), "{runner} did not go live {times} times:\n{}", self.node.log());
    }

    /// Has a runner, once it is live, execute one task beside a neighbour, and notes every difference from what is expected.
    pub(crate) async fn check(&mut self, behaviour: &str, runner: &str, meta: Value, expect: Expect<'_>) {
        self.wait_live(runner, 1).await;
        let began = Instant::now();
        let task = self.submit(runner, meta);
        let neighbour = self.neighbour();
        let state = self.ended(behaviour, task).await;
        self.compare(behaviour, &state, &expect);
        self.finish(behaviour, began, neighbour, Some(task)).await;
    }

    /// As [`check`](Self::check); meanwhile the node and the processes that it has started may take at most `most` bytes
    /// more than before.
    pub(crate) async fn check_bounded(
        &mut self,
        behaviour: &str,
        runner: &str,
        meta: Value,
        expect: Expect<'_>,
        most: u64,
    ) {
        self.wait_live(runner, 1).await;
        let watch = MemoryWatch::start(self.node.id());
        self.check(behaviour, runner, meta, expect).await;
        let grown = watch.growth();
        eprintln!("{behaviour}: {} MiB more than before at most", grown >> 20);
        if grown > most {
            self.note(behaviour, format!("the node grew by {grown} bytes, more than {most}"));
        }
    }

    /// Submits a task for a test guest, or a runner by hand.
    pub(crate) fn submit(&self, runner: &str, meta: Value) -> Uuid {
        let capability = format!("/posemesh/test/{}/v1", runner.replace('_', "-"));
        let task =
            json!({"label": runner, "stage": "t", "capability": capability, "meta": meta, "max_attempts": 1});
        self.devnet.submit_job(json!({"label": runner, "tasks": [task]})).expect("a job").tasks[0]
    }

    /// Submits a short task that must not be harmed.
    pub(crate) fn neighbour(&self) -> Uuid {
        let job = json!({"label": "neighbour", "tasks": [noop_task(300)]});
        self.devnet.submit_job(job).expect("a job").tasks[0]
    }

    /// Waits for the end of a task.
    pub(crate) async fn ended(&mut self, behaviour: &str, task: Uuid) -> TaskState {
        match self.devnet.wait_for_task_end(task, TIMEOUT).await {
            Ok(state) => state,
            Err(error) => panic!("{behaviour}: {error}; the node printed:\n{}", tail(&self.node.log())),
        }
    }

    /// Checks what holds after every behaviour: the neighbour completes, and heartbeats stayed regular.
    pub(crate) async fn finish(
        &mut self,
        behaviour: &str,
        began: Instant,
        neighbour: Uuid,
        task: Option<Uuid>,
    ) {
        match self.devnet.wait_for_task_end(neighbour, NEIGHBOUR_TIMEOUT).await {
            Ok(state) if state.status == TaskStatus::Completed && state.attempts == 1 => {}
            Ok(state) => self.note(behaviour, format!("the neighbour was harmed: {state:?}")),
            Err(error) => self.note(behaviour, format!("the neighbour did not finish in time: {error}")),
        }
        let gap = self.longest_gap(self.background.1, began);
        if gap > LONGEST_GAP {
            self.note(behaviour, format!("the background task's heartbeats paused for {gap:?}"));
        }
        if let Some(gap) = task.map(|task| self.own_gap(task)).filter(|gap| *gap > LONGEST_GAP) {
            self.note(behaviour, format!("its own heartbeats paused for {gap:?}"));
        }
        let background = self.devnet.task(self.background.1).expect("the background task");
        if background.status != TaskStatus::Running
            || background.expired_leases > 0
            || background.attempts != 1
        {
            self.note(behaviour, format!("the background task was harmed: {background:?}"));
        }
        eprintln!("{behaviour}: {:.1?}, longest pause between heartbeats {gap:.1?}", began.elapsed());
    }

    /// Notes a failure; [`close`](Self::close) reports all of them.
    pub(crate) fn note(&mut self, behaviour: &str, what: String) {
        self.failures.push(format!("{behaviour}: {what}"));
    }

    fn compare(&mut self, behaviour: &str, state: &TaskState, expect: &Expect<'_>) {
        match expect {
            Expect::Completes if state.status == TaskStatus::Completed => {}
            Expect::Completes => self.note(behaviour, format!("it should complete: {state:?}")),
            Expect::Fails(wanted) => {
                if state.status != TaskStatus::Failed || state.failures.len() != 1 {
                    return self.note(behaviour, format!("it should fail once: {state:?}"));
                }
                let failure = &state.failures[0];
                let reported = format!("{} {}", failure.reason, failure.details);
                for part in wanted.iter().filter(|part| !reported.contains(**part)) {
                    self.failures.push(format!("{behaviour}: {part:?} is not in: {reported:.3000}"));
                }
                if reported.len() > 64 << 10 {
                    self.note(behaviour, format!("it reported {} bytes", reported.len()));
                }
            }
        }
    }

    /// The longest time without a heartbeat of a task from `since` to now.
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

    /// Stops the background task and the node, and fails with everything that was noted.
    pub(crate) async fn close(mut self) {
        let (job, task) = self.background;
        self.devnet.cancel_job(job).expect("the background task's job");
        let state = self.ended("background", task).await;
        assert_eq!(state.status, TaskStatus::Canceled, "{state:?}");
        let code = self.node.terminate().await;
        let log = self.node.log();
        if code != 0 {
            self.note("the node", format!("it ended with {code}"));
        }
        if let Some(line) = log.lines().find(|line| line.starts_with("thread '")) {
            self.note("the node", format!("the host panicked: {line}"));
        }
        if log.contains("can't be ended") {
            self.note("the node", "a runner got stuck".to_owned());
        }
        let left: Vec<_> = std::fs::read_dir(self.work_dir())
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.path())
            .collect();
        if !left.is_empty() {
            self.note("the node", format!("it left {left:?}"));
        }
        self.devnet.shutdown().await;
        eprintln!("the group took {:.1?}", self.opened.elapsed());
        assert!(
            self.failures.is_empty(),
            "{}\n\nthe node printed:\n{}",
            self.failures.join("\n"),
            tail(&log)
        );
    }
}

fn noop_task(sleep_ms: u64) -> Value {
    json!({"label": "noop", "stage": "t", "capability": NOOP, "max_attempts": 1,
           "meta": {"sleep_ms": sleep_ms}})
}

/// A folder of runners with these guests and, beside each, its policy.
pub(crate) fn guests_with_policies(guests: &[(Guest, &str)]) -> TempDir {
    let components: Vec<PathBuf> = guests.iter().map(|(guest, _)| guest.path()).collect();
    let plugins = plugins_with(&components);
    for (guest, policy) in guests {
        std::fs::write(plugins.path().join(format!("{}.toml", guest.name)), policy).expect("a policy");
    }
    plugins
}

/// The end of a log, so that a flood does not hide the failure.
fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().map(|line| line.get(..300).unwrap_or(line)).collect();
    lines[lines.len().saturating_sub(80)..].join("\n")
}
