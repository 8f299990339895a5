//! A look at the directory: what is gone is withdrawn, what is new is taken through the stages.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use super::look::{Look, look_around};
use super::served::conflict;
use super::slot::{Again, Refusal};
use super::{Registry, note};
use crate::canary::CanaryPolicy;
use crate::generation::Generation;
use crate::load_error::LoadError;
use crate::policy::Policy;
use crate::stage::Stage;
use posemesh_runner_api::runner::Runner as _;

/// How many runners go through the stages at once; the loader bounds how many of them compile.
const LOADS_AT_ONCE: usize = 4;
/// When a runner is tried again that was refused through no fault of its file.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// How eager a scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// A file is taken when it looks as it did at the scan before, so that a half-written one is not.
    Careful,
    /// Everything is taken as it is, and what was refused is tried again: somebody says that it is time.
    Now,
}

/// What the scans remember.
#[derive(Debug, Default)]
pub(super) struct Scans {
    /// What each name looked like when it was last taken through the stages.
    settled: BTreeMap<String, Look>,
    /// What each changed name looked like at the last scan.
    pending: BTreeMap<String, Look>,
    loads: u64,
}

impl Scans {
    /// Whether a changed file waits for the next scan.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }
}

/// One load.
struct Candidate {
    name: String,
    number: u64,
    look: Look,
}

/// What came of it.
enum Loaded {
    Generation(Arc<Generation>, Option<CanaryPolicy>),
    Disabled,
}

impl Registry {
    /// Looks at the directory once.
    ///
    /// # Errors
    /// When it can't be read; everything stays as it is then. A runner that can't be loaded is no error:
    /// it is logged, and listed with its reason.
    pub async fn scan(&self, scan: Scan) -> io::Result<()> {
        let mut scans = self.scanning.lock().await;
        let dir = self.settings.plugins_dir.clone();
        let found =
            tokio::task::spawn_blocking(move || look_around(&dir)).await.map_err(io::Error::other)??;
        self.withdraw_missing(&mut scans, &found);
        // What goes live or leaves can make room for one that was refused.
        loop {
            let candidates = self.candidates(&mut scans, &found, scan);
            if candidates.is_empty() {
                break;
            }
            let mut loads = stream::iter(candidates)
                .map(async |candidate| {
                    let loaded = self.load(&candidate).await;
                    (candidate, loaded)
                })
                .buffered(LOADS_AT_ONCE);
            while let Some((candidate, loaded)) = loads.next().await {
                self.take_in(&mut scans, candidate, loaded).await;
            }
            if scan == Scan::Now {
                break;
            }
        }
        drop(scans);
        self.settle();
        Ok(())
    }

    fn withdraw_missing(&self, scans: &mut Scans, found: &BTreeMap<String, Look>) {
        let gone: Vec<String> =
            scans.settled.keys().filter(|name| !found.contains_key(*name)).cloned().collect();
        for name in gone {
            scans.settled.remove(&name);
            self.withdraw(&name, "its file was removed");
            self.state().slot(&name).refused = None;
        }
        scans.pending.retain(|name, _| found.contains_key(name));
    }

    /// Which names are to be taken through the stages, in their order.
    fn candidates(&self, scans: &mut Scans, found: &BTreeMap<String, Look>, scan: Scan) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (name, look) in found {
            let settled = scans.settled.get(name) == Some(look);
            if settled && !self.is_to_be_tried_again(name, scan) {
                scans.pending.remove(name);
                continue;
            }
            if !settled && scan == Scan::Careful && scans.pending.get(name) != Some(look) {
                scans.pending.insert(name.clone(), look.clone());
                continue;
            }
            scans.pending.remove(name);
            scans.settled.insert(name.clone(), look.clone());
            scans.loads += 1;
            candidates.push(Candidate { name: name.clone(), number: scans.loads, look: look.clone() });
        }
        candidates
    }

    fn is_to_be_tried_again(&self, name: &str, scan: Scan) -> bool {
        let state = self.state();
        let Some(refusal) = state.slots.get(name).and_then(|slot| slot.refused.as_ref()) else {
            return false;
        };
        match &refusal.again {
            // A rollback is the operator's word; it is not undone by another look.
            Again::OnRequest => scan == Scan::Now && !matches!(refusal.passed, Stage::Live | Stage::Canary),
            Again::At(time) => scan == Scan::Now || Instant::now() >= *time,
            Again::Unclaimed(claim) => conflict(claim, &state.claims()).is_none(),
        }
    }

    async fn load(&self, candidate: &Candidate) -> Result<Loaded, LoadError> {
        let Candidate { name, number, .. } = candidate;
        let reached = |stage: Stage| {
            tracing::debug!(runner = name, number, %stage, "runner {stage}");
            let mut state = self.state();
            state.count(stage);
            state.slot(name).loading = Some((*number, stage));
        };
        reached(Stage::Found);
        let path = self.settings.plugins_dir.join(format!("{name}.wasm"));
        let policy_path = path.with_extension("toml");
        let read = tokio::task::spawn_blocking(move || Policy::read(&policy_path)).await;
        let mut policy = read.map_err(|error| LoadError::Compiler {
            path: path.clone(),
            what: format!("reading its policy: {error}"),
        })??;
        if !policy.enabled {
            return Ok(Loaded::Disabled);
        }
        policy.environment.extend(self.settings.environment.keys().cloned());
        let value = |name: &str| {
            let fixed = self.settings.environment.get(name).cloned();
            fixed.or_else(|| std::env::var(name).ok())
        };
        let generation = Generation::load(&self.loader, &path, *number, &policy, &value, &reached).await?;
        Ok(Loaded::Generation(Arc::new(generation), policy.canary))
    }

    /// Whatever goes wrong leaves what was live as it was.
    async fn take_in(&self, scans: &mut Scans, candidate: Candidate, loaded: Result<Loaded, LoadError>) {
        let Candidate { name, number, look } = candidate;
        let path = self.settings.plugins_dir.join(format!("{name}.wasm"));
        let changed = Look::now(path).await.is_ok_and(|now| now != look);
        let passed = self.state().slot(&name).loading.take().map_or(Stage::Found, |(_, stage)| stage);
        if changed {
            tracing::debug!(runner = name, number, "its file changed while it was loaded");
            scans.settled.remove(&name);
            return;
        }
        match loaded {
            Ok(Loaded::Generation(generation, canary)) => self.arrive(&name, generation, canary),
            Ok(Loaded::Disabled) => {
                self.withdraw(&name, "its policy says enabled = false");
                let reason = "disabled by its policy".to_owned();
                self.state().slot(&name).refuse(number, passed, reason);
            }
            Err(error) => {
                let again = match error.is_the_files_fault() {
                    true => Again::OnRequest,
                    false => Again::At(Instant::now() + TRY_AGAIN),
                };
                self.refuse(&name, Refusal { number, passed, reason: error.to_string(), again });
            }
        }
    }

    fn arrive(&self, name: &str, generation: Arc<Generation>, canary: Option<CanaryPolicy>) {
        let number = generation.number;
        for asked in &generation.grant.not_granted {
            tracing::warn!(runner = %generation.label(), "asked for and not granted: {asked}");
        }
        let mut state = self.state();
        let claim = generation.claim(name);
        if let Some(reason) = conflict(&claim, &state.claims()) {
            drop(state);
            let again = Again::Unclaimed(claim);
            self.refuse(name, Refusal { number, passed: Stage::Probed, reason, again });
            return;
        }
        let changes = state.slot(name).arrive(generation, canary);
        note(&mut state, name, changes);
        self.publish(&state);
    }

    fn refuse(&self, name: &str, refusal: Refusal) {
        let mut state = self.state();
        state.count(Stage::Refused);
        let slot = state.slot(name);
        let kept = slot.live.as_ref().map(|live| live.label());
        tracing::error!(runner = name, kept, passed = %refusal.passed, "runner refused: {}", refusal.reason);
        slot.refused = Some(refusal);
    }

    /// First the capabilities, so that nobody is promised anything; then what is left of its tasks ends.
    fn withdraw(&self, name: &str, why: &str) {
        let mut state = self.state();
        let changes = state.slot(name).withdraw();
        if !changes.is_empty() {
            tracing::info!(runner = name, "runner withdrawn: {why}; tasks that it has go on");
        }
        note(&mut state, name, changes);
        self.publish(&state);
    }
}
