//! Which runners are live: found in `PLUGINS_DIR`, taken through every stage, swapped while work is
//! running.
//!
//! **Invariant:** a new generation goes live only after it has passed every stage; until then, and
//! whatever goes wrong, the old one serves. A task keeps the generation that it was given. A capability
//! is served by one runner at a time (`served`).

mod look;
mod scan;
mod served;
mod slot;
mod view;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch as channel};

use self::scan::Scans;
use self::served::{owner, served};
use self::slot::{Change, Slot};
use super::canary::Verdict;
use super::component::Loader;
use super::serving::Serving;
use super::stage::Stage;
use posemesh_runner_api::runner::{Runner, Runners};

pub use scan::Scan;
pub use served::Claim;
pub use view::{GenerationView, LoadingView, RefusedView, RunnerView};

/// What the registry is told once.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// Where the runners lie.
    pub plugins_dir: PathBuf,
    /// Capabilities that are not served, whoever claims them.
    pub withheld: BTreeSet<String>,
    /// Variables that every runner which asks may see, with their values.
    pub environment: BTreeMap<String, String>,
}

/// The live runners of a node.
pub struct Registry {
    loader: Arc<Loader>,
    settings: RegistrySettings,
    state: Mutex<State>,
    /// One scan at a time.
    scanning: tokio::sync::Mutex<Scans>,
    capabilities: channel::Sender<BTreeSet<String>>,
    /// A run has ended, or a task has let go of its generation.
    task_changed: Arc<Notify>,
}

#[derive(Default)]
struct State {
    /// By file stem.
    slots: BTreeMap<String, Slot>,
    /// How often each stage was reached.
    transitions: BTreeMap<Stage, u64>,
}

impl State {
    fn claims(&self) -> Vec<Claim> {
        let live = self.slots.iter().filter_map(|(name, slot)| Some((name, slot.live.as_ref()?)));
        live.map(|(name, live)| live.claim(name)).collect()
    }

    fn slot(&mut self, name: &str) -> &mut Slot {
        self.slots.entry(name.to_owned()).or_default()
    }

    fn count(&mut self, stage: Stage) {
        *self.transitions.entry(stage).or_default() += 1;
    }
}

impl Registry {
    /// An empty one; [`Registry::scan`] fills it.
    pub fn new(loader: Arc<Loader>, settings: RegistrySettings) -> Self {
        Self {
            loader,
            settings,
            state: Mutex::default(),
            scanning: tokio::sync::Mutex::default(),
            capabilities: channel::Sender::new(BTreeSet::new()),
            task_changed: Arc::default(),
        }
    }

    /// What is there, by name.
    pub fn view(&self) -> Vec<RunnerView> {
        let state = self.state();
        let claims = state.claims();
        let serves = |name: &str, slot: &Slot| -> Vec<String> {
            let live = slot.live.iter().flat_map(|live| live.description.capabilities.iter());
            live.filter(|capability| {
                owner(capability, &claims) == Some(name) && !self.settings.withheld.contains(*capability)
            })
            .cloned()
            .collect()
        };
        state.slots.iter().map(|(name, slot)| RunnerView::new(name, slot, serves(name, slot))).collect()
    }

    /// How often each stage was reached since the node started.
    pub fn transitions(&self) -> BTreeMap<Stage, u64> {
        self.state().transitions.clone()
    }

    /// Takes the newest generation of a runner back: a canary, or the live one, whose place the previous
    /// one takes. What is taken back stays for another rollback, until its file changes or the node
    /// starts anew. Answers with the label of what serves now.
    ///
    /// # Errors
    /// When there is no such runner or nothing to go back to.
    pub fn roll_back(&self, name: &str) -> Result<String, String> {
        let mut state = self.state();
        let known: Vec<String> = state.slots.keys().cloned().collect();
        let Some(slot) = state.slots.get_mut(name) else {
            return Err(format!("there is no runner {name}; there are: {}", known.join(", ")));
        };
        // The previous one may claim what somebody else has taken over meanwhile.
        let returning = slot.previous.as_ref().filter(|_| slot.canary.is_none()).map(|old| old.claim(name));
        if let Some(clash) = returning.and_then(|claim| served::conflict(&claim, &state.claims())) {
            return Err(format!("rolling {name} back: {clash}"));
        }
        let slot = state.slot(name);
        let changes = slot.roll_back().map_err(|reason| format!("rolling {name} back: {reason}"))?;
        let now = slot.live.as_ref().map(|live| live.label()).unwrap_or_default();
        tracing::warn!(runner = name, now, "rolled back by the operator");
        note(&mut state, name, changes);
        self.publish(&state);
        Ok(now)
    }

    /// Ends the trials of canaries of which enough is known, and forgets what is gone.
    fn settle(&self) {
        let mut state = self.state();
        let names: Vec<String> = state.slots.keys().cloned().collect();
        for name in names {
            let slot = state.slot(&name);
            let judged = slot.judge();
            let mut changes = slot.sweep();
            let empty = slot.is_empty();
            if let Some((verdict, judged)) = judged {
                match verdict {
                    Verdict::RollBack(why) => tracing::error!(runner = name, "canary rolled back: {why}"),
                    _ => tracing::info!(runner = name, "the canary has passed its trial"),
                }
                changes.extend(judged);
            }
            note(&mut state, &name, changes);
            if empty {
                state.slots.remove(&name);
            }
        }
        self.publish(&state);
    }

    /// Tells the capabilities of a state that is held: nobody sees one without the other, and of two changes the
    /// later one is told last.
    fn publish(&self, state: &State) {
        let served = served(&state.claims(), &self.settings.withheld);
        self.capabilities.send_if_modified(|now| {
            let changed = *now != served;
            *now = served;
            changed
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts and logs changes of stages.
fn note(state: &mut State, name: &str, changes: Vec<Change>) {
    for (generation, stage) in changes {
        state.count(stage);
        tracing::info!(runner = name, generation, %stage, "runner {stage}");
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("plugins_dir", &self.settings.plugins_dir).finish_non_exhaustive()
    }
}

impl Runners for Registry {
    fn capabilities(&self) -> channel::Receiver<BTreeSet<String>> {
        self.capabilities.subscribe()
    }

    fn pick(&self, capability: &str) -> Option<Arc<dyn Runner>> {
        if self.settings.withheld.contains(capability) {
            return None;
        }
        // A canary that has failed enough must not get one more task.
        self.settle();
        let mut state = self.state();
        let name = owner(capability, &state.claims())?.to_owned();
        let generation = state.slot(&name).pick(capability)?;
        Some(Arc::new(Serving::new(generation, self.task_changed.clone())))
    }
}
