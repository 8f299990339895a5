//! What a registry holds, for people and programs that look: `plugin list`, `/api/plugins`, metrics.

use posemesh_text::one_line;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::load::stage::LoadStage;
use crate::manifest::data_scope::DataScope;
use crate::manifest::host_rule::HostRule;
use crate::manifest::policy::Grant;
use crate::registry::breaker::BreakerPhase;
use crate::registry::counters::{FailureCounts, RunCounts};
use crate::registry::generation::Generation;
use crate::registry::slot::RunnerSlot;

/// How much of a kind of grants is shown, in bytes.
const MAX_GRANT: usize = 500;
/// How much of a name is shown in a sentence, in bytes.
const MAX_NAME: usize = 80;

/// One name in `PLUGINS_DIR`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunnerView {
    /// The file's stem.
    pub name: String,
    /// The generations that are loaded, newest first.
    pub generations: Vec<GenerationView>,
    /// The load that goes on, if one does.
    pub loading: Option<LoadingView>,
    /// Why the newest file does not serve, if it does not.
    pub refused: Option<RefusedView>,
    /// The capabilities that it serves now; others of the live generation's are served by a runner with
    /// a higher priority, or withheld.
    pub serves: Vec<String>,
    /// The circuit breaker of the live generation, if there is one.
    #[serde(default)]
    pub breaker: Option<BreakerView>,
    /// Failed runs by whose fault they were, over all generations since the runner came.
    #[serde(default)]
    pub failures: FailureCounts,
    /// The share of the tasks that the generation on trial gets, if one is on trial.
    #[serde(default)]
    pub canary_share: Option<f64>,
}

/// Where a circuit breaker stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BreakerView {
    /// What it is doing.
    pub state: BreakerState,
    /// Seconds until it is half open, rounded up, if it is open.
    pub half_open_in_secs: Option<u64>,
    /// Failures in a row since the last run that completed.
    pub failures_in_a_row: usize,
    /// How many of the latest runs failed by the runner's fault.
    pub failed: usize,
    /// How many runs these are.
    pub judged: usize,
    /// How often it has opened, each time for longer than before.
    pub openings: u32,
    /// Which threshold opened it last.
    pub why: Option<String>,
    /// The failure that opened it, on one line of bounded length.
    pub last_failure: Option<String>,
}

/// What a circuit breaker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// The runner gets tasks.
    Closed,
    /// The runner gets no new task.
    Open,
    /// The next task, or the one that is worked on, decides.
    HalfOpen,
}

/// A generation that has passed every stage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GenerationView {
    /// Counts the loads of this node.
    pub number: u64,
    /// The runner's own version.
    pub version: String,
    /// What the runner says that it does.
    pub summary: String,
    /// How far it is: canary, live, previous or draining.
    pub stage: LoadStage,
    /// The capabilities that it claims.
    pub capabilities: Vec<String>,
    /// `priority` of its policy.
    pub priority: i32,
    /// SHA-256 of its file, in hex.
    pub sha256: String,
    /// Size of its file, in bytes.
    pub bytes: u64,
    /// Whether its code came from the cache.
    pub cached: bool,
    /// What it may have of the machine beyond its inputs and limits, in words.
    #[serde(default)]
    pub granted: Vec<String>,
    /// What it asked for and did not get, in words.
    pub not_granted: Vec<String>,
    /// How its runs ended.
    pub tasks: RunCounts,
}

/// A load that goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadingView {
    /// Counts the loads of this node.
    pub number: u64,
    /// The last stage that it passed.
    pub stage: LoadStage,
    /// How long its component has been compiled so far, in milliseconds, while it is. One that is `verified` and not compiled
    /// waits for its turn.
    #[serde(default)]
    pub compiling_ms: Option<u64>,
}

/// A load that does not serve.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefusedView {
    /// Counts the loads of this node.
    pub number: u64,
    /// The last stage that it passed.
    pub passed: LoadStage,
    /// The reason, for people.
    pub reason: String,
}

impl RunnerView {
    pub(crate) fn new(name: &str, slot: &RunnerSlot, serves: Vec<String>) -> Self {
        let mut generations = Vec::new();
        if let Some(canary) = &slot.canary {
            generations.push(GenerationView::new(&canary.generation, LoadStage::Canary));
        }
        if let Some(live) = &slot.live {
            generations.push(GenerationView::new(live, LoadStage::Live));
        }
        if let Some(previous) = &slot.previous {
            generations.push(GenerationView::new(previous, LoadStage::Previous));
        }
        // Those that are gone but not swept yet are left out: nothing is left to tell of them.
        let draining = slot.draining.iter().filter_map(|old| old.generation.upgrade());
        generations.extend(draining.map(|generation| GenerationView::new(&generation, LoadStage::Draining)));
        // After a rollback the live one may be older than the previous one, so the order above is not enough.
        generations.sort_by_key(|generation| std::cmp::Reverse(generation.number));
        Self {
            name: name.to_owned(),
            generations,
            loading: slot.loading.map(|(number, stage)| LoadingView { number, stage, compiling_ms: None }),
            refused: slot.refused.as_ref().map(|refusal| RefusedView {
                number: refusal.number,
                passed: refusal.passed,
                reason: refusal.reason.clone(),
            }),
            serves,
            breaker: BreakerView::of(slot),
            failures: slot.failures,
            canary_share: slot.canary.as_ref().map(|canary| canary.trial.share()),
        }
    }
}

impl BreakerView {
    /// The breaker of a slot, unless there is none or nothing is live.
    pub(crate) fn of(slot: &RunnerSlot) -> Option<Self> {
        let status = slot.breaker.status().filter(|_| slot.live.is_some())?;
        let now = Instant::now();
        // Rounded up: at 0 it would be half open.
        let seconds = |until: Instant| until.saturating_duration_since(now).as_millis().div_ceil(1000);
        Some(Self {
            state: match status.phase {
                BreakerPhase::Closed => BreakerState::Closed,
                BreakerPhase::Open => BreakerState::Open,
                BreakerPhase::HalfOpen => BreakerState::HalfOpen,
            },
            half_open_in_secs: status.until.map(|until| u64::try_from(seconds(until)).unwrap_or(u64::MAX)),
            failures_in_a_row: status.in_a_row,
            failed: status.failed,
            judged: status.judged,
            openings: status.openings,
            why: status.opened.map(|opened| opened.why.clone()),
            last_failure: status.opened.map(|opened| opened.last_failure.clone()),
        })
    }

    /// What keeps a runner from new tasks, for people.
    pub(crate) fn sentence(&self, name: &str) -> String {
        let state = match (self.state, self.half_open_in_secs) {
            (BreakerState::Open, Some(seconds)) => format!("is open for another {seconds} s"),
            (BreakerState::Open, None) => "is open".to_owned(),
            (BreakerState::HalfOpen, _) => "is half open, and one task tries the runner".to_owned(),
            (BreakerState::Closed, _) => "is closed".to_owned(),
        };
        let why = self.why.as_deref().unwrap_or_default();
        let last = self.last_failure.as_deref().unwrap_or_default();
        let name = one_line(name, MAX_NAME);
        format!("the circuit breaker of {name} {state}: {why}; the last failure: {last}")
    }
}

impl GenerationView {
    fn new(generation: &Generation, stage: LoadStage) -> Self {
        let terms = generation.terms();
        Self {
            number: generation.number,
            version: generation.description.version.clone(),
            summary: generation.description.summary.clone(),
            stage,
            capabilities: generation.description.capabilities.clone(),
            priority: terms.priority,
            sha256: generation.digest.clone(),
            bytes: generation.bytes,
            cached: generation.cached,
            granted: granted(&terms.grant),
            not_granted: terms.grant.not_granted.clone(),
            tasks: generation.counters.counts(),
        }
    }
}

/// What a grant has beyond a task's own inputs and the limits, a line for each kind.
fn granted(grant: &Grant) -> Vec<String> {
    let Grant { environment, network_hosts, private_network_hosts, directories, inputs, replace, .. } = grant;
    let hosts = |rules: &[HostRule]| rules.iter().map(ToString::to_string).collect::<Vec<_>>();
    let folders = directories.iter().map(|(name, folder)| format!("/data/{name} = {}", folder.display()));
    let scopes = [("reads", inputs), ("replaces", replace)];
    let domain = scopes.into_iter().filter(|(_, scope)| **scope == DataScope::Domain);
    let kinds = [
        ("variables", environment.clone()),
        ("hosts", hosts(network_hosts)),
        ("hosts at any address", hosts(private_network_hosts)),
        ("folders", folders.collect()),
        ("any data of its domain", domain.map(|(verb, _)| verb.to_owned()).collect()),
    ];
    let given = kinds.into_iter().filter(|(_, names)| !names.is_empty());
    given.map(|(kind, names)| one_line(format_args!("{kind}: {}", names.join(", ")), MAX_GRANT)).collect()
}
