//! The runners by name: what serves, what is on trial, what was refused; and the capabilities that follow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::runner::{Runner as _, RunnerNeeds};
use posemesh_text::one_line;
use tokio::sync::{Notify, watch as channel};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::load::stage::LoadStage;
use crate::manifest::canary::CanaryPolicy;
use crate::manifest::policy::Policy;
use crate::registry::breaker::Trial;
use crate::registry::claims::{Claim, owner, served};
use crate::registry::events::RegistryObserver;
use crate::registry::generation::{Generation, claim_under};
use crate::registry::memory::RunnerMemory;
use crate::registry::setbacks::KeptCode;
use crate::registry::slot::{LoadRefusal, Picked, RetryWhen, RunnerSlot};
use crate::registry::table_state::TableState;
use crate::registry::terms::Terms;
use crate::registry::view::RunnerView;

/// The longest reason of a refusal, in bytes.
const MAX_REFUSAL: usize = 4000;

/// The state of a registry, shared by what fills it and what serves from it.
pub(crate) struct RunnerTable {
    /// Capabilities that are not served, whoever claims them.
    withheld: BTreeSet<String>,
    state: Mutex<TableState>,
    capabilities: channel::Sender<BTreeSet<String>>,
    /// A breaker may have opened: the time of the next half-open one is to be looked up again.
    breaker_opened: Notify,
    /// Something is to be remembered that was not so far.
    learned: Notify,
}

impl RunnerTable {
    pub(crate) fn new(withheld: BTreeSet<String>) -> Self {
        Self {
            withheld,
            state: Mutex::default(),
            learned: Notify::new(),
            capabilities: channel::Sender::new(BTreeSet::new()),
            breaker_opened: Notify::new(),
        }
    }

    /// See [`Registry::observed_by`](crate::registry::Registry::observed_by).
    pub(crate) fn observe_by(&self, observer: Arc<dyn RegistryObserver>) {
        self.state().events.observe_by(observer);
    }

    /// A run of this generation has failed.
    pub(crate) fn run_failed(&self, generation: &Generation, task: Uuid, failure: &RunFailure) {
        self.state().events.run_failed(generation, task, failure);
    }

    /// The capabilities that are served, as they change.
    pub(crate) fn capabilities(&self) -> channel::Receiver<BTreeSet<String>> {
        self.capabilities.subscribe()
    }

    /// The generation of the next task of a capability, and the name of its runner.
    pub(crate) fn pick(&self, capability: &str) -> Option<(String, Picked)> {
        if self.withheld.contains(capability) {
            return None;
        }
        // Claims and slot are read under one lock: the owner can't be withdrawn between the two.
        let mut state = self.state();
        // A canary that has failed enough must not get one more task.
        let concluded = state.conclude_trials();
        let picked = Self::picked(&mut state, capability);
        // A trial takes the capability back until it has ended. Most tasks change nothing of what is served, and need not go
        // through all runners.
        let begins_trial = picked.as_ref().is_some_and(|(_, picked)| picked.trial.is_some());
        if concluded || begins_trial {
            self.publish(&mut state);
        }
        picked
    }

    fn picked(state: &mut TableState, capability: &str) -> Option<(String, Picked)> {
        // Somebody holds the lease already, so that a task whose runners are all left out is run rather than failed unseen.
        let admitted = owner(capability, &state.admitted()).map(str::to_owned);
        let name = admitted.or_else(|| owner(capability, &state.claims()).map(str::to_owned))?;
        let picked = state.slot(&name).pick(capability)?;
        Some((name, picked))
    }

    /// Counts and judges a run that has ended; `trial` is what its task was picked with.
    pub(crate) fn run_ended(
        &self,
        name: &str,
        number: u64,
        trial: Option<Trial>,
        result: &Result<(), RunFailure>,
    ) {
        let mut state = self.state();
        if state.run_ended(name, number, trial, result) || trial.is_some() {
            self.publish(&mut state);
            self.breaker_opened.notify_one();
        }
    }

    /// The task of a trial has ended without a result.
    pub(crate) fn trial_dropped(&self, name: &str, number: u64, trial: Trial) {
        let mut state = self.state();
        state.trial_dropped(name, number, trial);
        self.publish(&mut state);
    }

    /// Keeps the published capabilities in step with the time of open breakers. Never returns.
    pub(crate) async fn keep_breakers(&self) {
        loop {
            let due = self.state().next_half_open();
            tokio::select! {
                () = self.breaker_opened.notified() => {}
                // The fallback is never waited for: `select!` evaluates this even if the condition is false.
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.conclude_trials(),
            }
        }
    }

    /// See [`Registry::close_breaker`](crate::registry::Registry::close_breaker).
    pub(crate) fn close_breaker(&self, name: &str) -> Result<bool, String> {
        let mut state = self.state();
        let closed = state.close_breaker(name)?;
        self.publish(&mut state);
        Ok(closed)
    }

    /// What is withheld because of breakers, a text for each runner.
    pub(crate) fn suspended(&self) -> Vec<String> {
        self.state().suspended()
    }

    /// The most that a task may use, of any generation that new tasks may get.
    pub(crate) fn needs(&self) -> RunnerNeeds {
        let state = self.state();
        let canary = |slot: &RunnerSlot| slot.canary.as_ref().map(|canary| canary.generation.needs());
        let of = |slot: &RunnerSlot| [slot.live.as_ref().map(|live| live.needs()), canary(slot)];
        state.slots.values().flat_map(of).flatten().fold(RunnerNeeds::default(), RunnerNeeds::max)
    }

    pub(crate) fn view(&self) -> Vec<RunnerView> {
        let state = self.state();
        let claims = state.admitted();
        let serves = |name: &str, slot: &RunnerSlot| -> Vec<String> {
            let live = slot.live.iter().flat_map(|live| live.description.capabilities.iter());
            let mine = |capability: &&String| {
                owner(capability, &claims) == Some(name) && !self.withheld.contains(*capability)
            };
            live.filter(mine).cloned().collect()
        };
        state.slots.iter().map(|(name, slot)| RunnerView::new(name, slot, serves(name, slot))).collect()
    }

    pub(crate) fn transitions(&self) -> BTreeMap<LoadStage, u64> {
        self.state().transitions.clone()
    }

    /// See [`Registry::roll_back`](crate::registry::Registry::roll_back).
    pub(crate) fn roll_back(&self, name: &str) -> Result<String, String> {
        let mut state = self.state();
        let now = state.roll_back(name)?;
        self.publish(&mut state);
        Ok(now)
    }

    /// Ends the trials of canaries of which enough is known, makes breakers half open whose time is over, and forgets
    /// what is gone.
    pub(crate) fn conclude_trials(&self) {
        let mut state = self.state();
        state.conclude_trials();
        self.publish(&mut state);
    }

    /// Notes how far a load is.
    pub(crate) fn load_reached(&self, name: &str, number: u64, stage: LoadStage) {
        let mut state = self.state();
        state.count(stage);
        state.slot(name).loading = Some((number, stage));
    }

    /// Notes that this load does not go on any more; the last stage that it passed.
    pub(crate) fn load_ended(&self, name: &str, number: u64) -> LoadStage {
        let mut state = self.state();
        let loading =
            state.slots.get_mut(name).and_then(|slot| slot.loading.take_if(|(of, _)| *of == number));
        loading.map_or(LoadStage::Found, |(_, stage)| stage)
    }

    /// Notes whose files are there. Of who is gone nothing is remembered.
    pub(crate) fn files_there(&self, names: BTreeSet<String>) {
        let mut state = self.state();
        state.files_there(names);
        self.publish(&mut state);
    }

    /// Whether a runner is live, whatever becomes of the load that goes on.
    pub(crate) fn is_live(&self, name: &str) -> bool {
        self.state().slots.get(name).is_some_and(|slot| slot.live.is_some())
    }

    /// Whether a runner served all that it claims before, so that it takes it from nobody.
    pub(crate) fn is_incumbent_of(&self, claim: &Claim) -> bool {
        self.state().memory.is_incumbent_of(claim)
    }

    /// Those that served something before.
    pub(crate) fn incumbents(&self) -> BTreeSet<String> {
        self.state().memory.incumbents()
    }

    /// Waits until something is to be remembered.
    pub(crate) async fn learned(&self) {
        self.learned.notified().await;
    }

    /// Takes over what an earlier process has remembered.
    pub(crate) fn recall(&self, memory: RunnerMemory) {
        self.state().recall(memory);
    }

    /// What is to be remembered.
    pub(crate) fn memory(&self) -> RunnerMemory {
        self.state().memory.clone()
    }

    /// The operator's policy of today holds for the next task of every generation of a runner that is kept, before the file
    /// is loaded again: what was withdrawn is withdrawn from yesterday's code as well.
    pub(crate) fn follow_policy(&self, name: &str, policy: &Policy, terms: impl Fn(&Generation) -> Terms) {
        let mut state = self.state();
        let Some(slot) = state.slots.get(name) else { return };
        let mut changed = Vec::new();
        for generation in slot.kept() {
            let (before, mut now) = (generation.terms(), terms(generation));
            let is_live = slot.live.as_ref().is_some_and(|live| Arc::ptr_eq(live, generation));
            // What it may use follows at once; what it may take from others only if it may. The load says why not.
            if is_live
                && claim_under(&now, name) != generation.claim(name)
                && state.blocked(&claim_under(&now, name)).is_some()
            {
                now = now.with_claims_of(&before);
            }
            if *before != now {
                generation.set_terms(now);
                changed.push(generation.clone());
            }
        }
        state.slot(name).follow(policy.canary);
        for generation in &changed {
            state.events.granted(generation);
        }
        if !changed.is_empty() {
            tracing::info!(
                runner = name,
                "its policy has changed and holds from the next task on, for every version"
            );
        }
        self.publish(&mut state);
    }

    /// A generation that has passed every stage takes its place, unless its claims clash with others', or it describes
    /// itself otherwise than it did before. `is_new_code` says that the component's file has changed.
    pub(crate) fn arrive(
        &self,
        name: &str,
        generation: Arc<Generation>,
        canary: Option<CanaryPolicy>,
        is_new_code: bool,
    ) -> Result<(), LoadRefusal> {
        let mut state = self.state();
        match state.memory.describe(&generation.digest, &generation.description) {
            Ok(false) => {}
            Ok(true) => self.learned.notify_one(),
            Err(what) => {
                let reason = format!("{}: {what}", generation.path.display());
                return Err(LoadRefusal::of(&generation, LoadStage::Linked, reason, RetryWhen::Requested));
            }
        }
        let claim = generation.claim(name);
        // Checked under the lock that lets it in: two that load at the same time can't both pass.
        if let Some(reason) = state.blocked(&claim) {
            // Nothing is wrong with the file, so it is loaded again as soon as the other claim is gone.
            let retry = RetryWhen::Unclaimed(claim);
            return Err(LoadRefusal::of(&generation, LoadStage::Probed, reason, retry));
        }
        state.arrive(name, generation, canary, is_new_code);
        self.publish(&mut state);
        // It may be open since an earlier process.
        self.breaker_opened.notify_one();
        Ok(())
    }

    /// What serves in place of this code of a runner, if that was taken back before the node was started anew, and nothing of
    /// the runner is live.
    pub(crate) fn kept_for(&self, name: &str, digest: &str) -> Option<KeptCode> {
        let state = self.state();
        let is_live = state.slots.get(name).is_some_and(|slot| slot.live.is_some());
        if is_live { None } else { state.memory.setbacks.kept(name, digest) }
    }

    /// The code that served in place of one that was taken back does so again.
    pub(crate) fn serve_kept(&self, name: &str, generation: Arc<Generation>) {
        let mut state = self.state();
        if let Some(clash) = state.blocked(&generation.claim(name)) {
            tracing::error!(runner = name, "the version before can't serve: {clash}");
            return;
        }
        // From the cache it has described itself anew.
        match state.memory.describe(&generation.digest, &generation.description) {
            Ok(false) => {}
            Ok(true) => self.learned.notify_one(),
            Err(what) => {
                tracing::error!(runner = name, "the version before can't serve: {what}");
                return;
            }
        }
        state.serve_kept(name, generation);
        self.publish(&mut state);
        self.breaker_opened.notify_one();
    }

    /// Notes and logs why a load does not serve; what serves goes on.
    pub(crate) fn refuse(&self, name: &str, refusal: LoadRefusal) {
        // Reasons quote files, components and compilers; here they go to the log, to lists and to the status API.
        let refusal = LoadRefusal { reason: one_line(&refusal.reason, MAX_REFUSAL), ..refusal };
        let mut state = self.state();
        state.count(LoadStage::Refused);
        let slot = state.slot(name);
        // An operator who reads of a refusal must also see whether the older generation still serves.
        let kept = slot.live.as_ref().map(|live| live.label());
        tracing::error!(runner = name, kept, passed = %refusal.passed, "runner refused: {}", refusal.reason);
        slot.refused = Some(refusal.clone());
        state.events.refused(name, &refusal);
    }

    /// First the capabilities, so that nobody is promised anything; then what is left of its tasks ends.
    /// `refusal` is what is shown in its place.
    pub(crate) fn withdraw(&self, name: &str, why: &str, refusal: Option<LoadRefusal>) {
        let mut state = self.state();
        let is_disabled = refusal.is_some();
        let slot = state.slot(name);
        let changes = slot.withdraw();
        slot.refused = refusal;
        if !changes.is_empty() {
            tracing::info!(runner = name, "runner withdrawn: {why}; tasks that it has go on");
            state.events.withdrawn(name, why);
        }
        state.note(name, changes, why);
        // It has left of its own accord or by the operator's word: whoever comes next may have what it served. A file that is
        // only disabled is the same when it comes back.
        if is_disabled {
            state.leave(name);
        } else {
            state.forget(name);
        }
        self.publish(&mut state);
    }

    /// Whether what was refused may be loaded now though its file has not changed: `may_retry` decides by the
    /// refusal; a claim that clashed may be free by now.
    pub(crate) fn may_retry(&self, name: &str, may_retry: impl Fn(&LoadRefusal) -> bool) -> bool {
        let state = self.state();
        let refusal = state.slots.get(name).and_then(|slot| slot.refused.as_ref());
        refusal.is_some_and(|refusal| match &refusal.retry {
            RetryWhen::Unclaimed(claim) => state.blocked(claim).is_none(),
            RetryWhen::Requested | RetryWhen::After(_) => may_retry(refusal),
        })
    }

    /// Publishes the capabilities of a state that is held: nobody sees one without the other, and of two changes
    /// the later one is published last.
    fn publish(&self, state: &mut TableState) {
        if state.remember() {
            self.learned.notify_one();
        }
        let served = served(&state.admitted(), &self.withheld);
        // Receivers act on each change, so a publication that changes nothing must not wake them.
        self.capabilities.send_if_modified(|now| {
            let changed = *now != served;
            *now = served;
            changed
        });
    }

    fn state(&self) -> MutexGuard<'_, TableState> {
        // A panic elsewhere must not take every runner out of service with it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
