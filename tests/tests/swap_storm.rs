//! A thousand swaps of one runner under load: no task fails, and no resource leaks.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use posemesh_devnet::{DevnetConfig, TaskStatus};
use posemesh_plugin_host::load::LoadStage;
use posemesh_plugin_host::registry::RunnerView;
use posemesh_tests::versions::{Does, capability, put, versioned};
use posemesh_tests::{ADMIN_TOKEN, NodeProcess, Scene, TIMEOUT, assert_ended_once, http_client};
use serde_json::json;
use uuid::Uuid;

const SWAPS: usize = 1000;
/// Swaps after which caches, pools and arenas have reached their size.
const WARM: usize = 200;
/// Number of different valid versions; they are used again and again, each time as a new file.
const VERSIONS: u32 = 40;
const WORKERS: usize = 6;
const SUFFIX: u8 = 9;

/// The resources that a process holds.
#[derive(Debug, Clone, Copy)]
struct Resources {
    resident_kib: u64,
    files: usize,
    threads: usize,
}

impl Resources {
    fn by(node: &NodeProcess) -> Self {
        let proc = format!("/proc/{}", node.id());
        let status = std::fs::read_to_string(format!("{proc}/status")).expect("it runs");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        let resident = resident.trim().trim_end_matches(" kB").parse().expect("a number");
        let count = |what: &str| std::fs::read_dir(format!("{proc}/{what}")).expect("it runs").count();
        Self { resident_kib: resident, files: count("fd"), threads: count("task") }
    }
}

/// A component that can't go live; of four kinds in turn.
fn broken(at: usize, good: &[u8]) -> Vec<u8> {
    match at % 4 {
        0 => good[..good.len() * 2 / 3].to_vec(),
        1 => b"\0asm\x01\0\0\0".to_vec(),
        2 => b"(component but not binary".to_vec(),
        _ => {
            let mut bytes = good.to_vec();
            let middle = bytes.len() / 3;
            bytes[middle..middle + 64].fill(0xff);
            bytes
        }
    }
}

struct Storm {
    scene: Scene,
    node: NodeProcess,
    addr: String,
    client: reqwest::Client,
    tasks: Vec<Uuid>,
}

impl Storm {
    async fn start() -> Self {
        let config = DevnetConfig { leases_per_node: WORKERS, ..DevnetConfig::default() };
        let scene = Scene::with(config).await;
        let scene = scene
            .set("MAX_CONCURRENCY", WORKERS)
            .set("STATUS_ADDR", "127.0.0.1:0")
            .set("ADMIN_TOKEN", ADMIN_TOKEN);
        put(&scene.plugins(), "storm.wasm", &good(0));
        let node = scene.node();
        let addr = node.status_addr().await;
        let client = http_client();
        Self { scene, node, addr, client, tasks: Vec::new() }
    }

    /// Keeps more tasks submitted than there are workers; each takes up to a fifth of a second.
    fn keep_busy(&mut self) {
        let open = self.tasks.iter().rev().take(WORKERS * 4);
        let open =
            open.filter(|task| !self.scene.devnet.task(**task).expect("known").status.is_end()).count();
        for _ in open..WORKERS * 2 {
            let sleep_ms = (self.tasks.len() * 37) % 200;
            let meta = json!({"sleep_ms": sleep_ms});
            let task = json!({"capability": capability(SUFFIX), "meta": meta, "max_attempts": 1});
            self.tasks.push(self.scene.submit_task(task));
        }
    }

    /// Has the node scan its folder now; returns the view of the runner.
    async fn rescan(&self) -> RunnerView {
        let url = format!("http://{}/api/admin/rescan", self.addr);
        let response = self.client.post(url).bearer_auth(ADMIN_TOKEN).send().await;
        let response = response.unwrap_or_else(|error| panic!("{error}: {}", self.node.log()));
        let text = response.text().await.expect("a body");
        let mut answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let all: Vec<RunnerView> = serde_json::from_value(answer["plugins"].take()).expect("runners");
        all.into_iter().find(|runner| runner.name == "storm").unwrap_or_else(|| panic!("{text}"))
    }

    /// Scans again and again until a condition holds.
    async fn until(&self, what: &str, is_so: impl Fn(&RunnerView) -> bool) -> RunnerView {
        let begun = Instant::now();
        loop {
            let runner = self.rescan().await;
            if is_so(&runner) {
                return runner;
            }
            assert!(begun.elapsed() < TIMEOUT, "never {what}: {runner:#?}\n{}", self.node.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn good(at: usize) -> Vec<u8> {
    versioned(1_000_000 + number(at), Does::Work, SUFFIX)
}

fn number(at: usize) -> u32 {
    u32::try_from(at).expect("a small number") % VERSIONS
}

fn live(runner: &RunnerView) -> Option<&str> {
    let live = runner.generations.iter().find(|generation| generation.stage == LoadStage::Live);
    live.map(|generation| generation.version.as_str())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_swaps_under_load_cost_no_task_and_leave_nothing_behind() {
    let mut storm = Storm::start().await;
    let dir = storm.scene.plugins();
    storm.keep_busy();
    storm.until("serving", |runner| live(runner) == Some("1.0.1000000")).await;
    let began = Instant::now();
    let (mut serving, mut refusals, mut warm) = ("1.0.1000000".to_owned(), 0, None);
    for at in 1..=SWAPS {
        storm.keep_busy();
        let bytes = good(at);
        if at % 5 == 0 {
            put(&dir, "storm.wasm", &broken(at / 5, &bytes));
            let runner = storm.until("refused", |runner| runner.refused.is_some()).await;
            assert_eq!(live(&runner), Some(serving.as_str()), "the old one serves on");
            refusals += 1;
        } else {
            put(&dir, "storm.wasm", &bytes);
            serving = format!("1.0.{}", 1_000_000 + number(at));
            let runner = storm.until("live", |runner| live(runner) == Some(serving.as_str())).await;
            assert!(runner.refused.is_none(), "{runner:#?}");
        }
        if at == WARM {
            warm = Some(Resources::by(&storm.node));
        }
    }
    let took = began.elapsed();
    for task in &storm.tasks {
        storm.scene.wait_for_end(*task, &storm.node).await;
    }
    // Only the live generation and the previous one are kept.
    let left = storm.until("settled", |runner| runner.generations.len() <= 2).await;
    assert_eq!(live(&left), Some(serving.as_str()));

    let mut versions = BTreeSet::new();
    for task in &storm.tasks {
        let ended = storm.scene.task(*task);
        assert_eq!(ended.status, TaskStatus::Completed, "{ended:?}\n{}", storm.node.log());
        assert_ended_once(&ended, &storm.node);
        assert_eq!(ended.leases.len(), 1, "{ended:?}");
        let progress = &ended.progress;
        assert_eq!(progress["began"], progress["ended"], "a task keeps its generation: {ended:?}");
        versions.insert(progress["ended"].to_string());
    }
    assert!(versions.len() > usize::try_from(VERSIONS / 4).expect("small"), "many took part: {versions:?}");

    // Idle threads are kept for a while.
    let warm = warm.expect("taken on the way");
    storm.until("few threads again", |_| Resources::by(&storm.node).threads <= warm.threads + 4).await;
    let end = Resources::by(&storm.node);
    println!(
        "{SWAPS} swaps, {refusals} of them refused, in {took:.1?} beside {} tasks on {} generations; after \
         {WARM}: {warm:?}; at the end: {end:?}",
        storm.tasks.len(),
        versions.len()
    );
    assert!(end.resident_kib < warm.resident_kib + 24 * 1024, "memory grows: {warm:?}, then {end:?}");
    assert!(end.files <= warm.files + 8, "files pile up: {warm:?}, then {end:?}");
    assert_eq!(storm.node.terminate().await, 0, "{}", storm.node.log());
}
