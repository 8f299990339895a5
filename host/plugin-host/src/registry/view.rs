//! What a registry holds, for people and programs that look: `plugin list`, `/api/plugins`, metrics.

use serde::{Deserialize, Serialize};

use super::slot::Slot;
use crate::generation::Generation;
use crate::stage::Stage;
use crate::tally::Counts;

/// One name in `PLUGINS_DIR`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunnerView {
    /// The file's stem.
    pub name: String,
    /// Its generations, newest first.
    pub generations: Vec<GenerationView>,
    /// The load that goes on.
    pub loading: Option<LoadingView>,
    /// Why the newest file does not serve.
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
    /// What it says that it does.
    pub summary: String,
    /// Where it stands.
    pub stage: Stage,
    /// What it claims.
    pub capabilities: Vec<String>,
    /// Its priority.
    pub priority: i32,
    /// SHA-256 of its file.
    pub sha256: String,
    /// Size of its file.
    pub bytes: u64,
    /// Whether its code came from the cache.
    pub cached: bool,
    /// What it asked for and did not get.
    pub not_granted: Vec<String>,
    /// Its tasks.
    pub tasks: Counts,
}

/// A load that goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadingView {
    /// Its number.
    pub number: u64,
    /// The last stage that it passed.
    pub stage: Stage,
}

/// A load that does not serve.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefusedView {
    /// Its number.
    pub number: u64,
    /// The last stage that it passed.
    pub passed: Stage,
    /// In words.
    pub reason: String,
}

impl RunnerView {
    pub(super) fn new(name: &str, slot: &Slot, serves: Vec<String>) -> Self {
        let mut generations = Vec::new();
        if let Some(trial) = &slot.canary {
            generations.push(GenerationView::new(&trial.generation, Stage::Canary));
        }
        if let Some(live) = &slot.live {
            generations.push(GenerationView::new(live, Stage::Live));
        }
        if let Some(previous) = &slot.previous {
            generations.push(GenerationView::new(previous, Stage::Previous));
        }
        let draining = slot.draining.iter().filter_map(|leaving| leaving.generation.upgrade());
        generations.extend(draining.map(|generation| GenerationView::new(&generation, Stage::Draining)));
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
    fn new(generation: &Generation, stage: Stage) -> Self {
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
            tasks: generation.tally.counts(),
        }
    }
}
