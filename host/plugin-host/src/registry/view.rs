//! What a registry holds, for people and programs that look: `plugin list`, `/api/plugins`, metrics.

use serde::{Deserialize, Serialize};

use crate::load::stage::LoadStage;
use crate::registry::counters::RunCounts;
use crate::registry::generation::Generation;
use crate::registry::slot::RunnerSlot;

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
            loading: slot.loading.map(|(number, stage)| LoadingView { number, stage }),
            refused: slot.refused.as_ref().map(|refusal| RefusedView {
                number: refusal.number,
                passed: refusal.passed,
                reason: refusal.reason.clone(),
            }),
            serves,
        }
    }
}

impl GenerationView {
    fn new(generation: &Generation, stage: LoadStage) -> Self {
        Self {
            number: generation.number,
            version: generation.description.version.clone(),
            summary: generation.description.summary.clone(),
            stage,
            capabilities: generation.description.capabilities.clone(),
            priority: generation.priority,
            sha256: generation.digest.clone(),
            bytes: generation.bytes,
            cached: generation.cached,
            not_granted: generation.grant.not_granted.clone(),
            tasks: generation.counters.counts(),
        }
    }
}
