//! What a table of runners knows: the slots by name, and what follows from all of them together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use posemesh_runner_api::failure::{Blame, RunFailure};
use posemesh_runner_api::runner::Runner as _;
use posemesh_text::one_line;
use tokio::time::Instant;

use crate::load::error::MAX_CAUSE;
use crate::load::stage::LoadStage;
use crate::manifest::canary::CanaryPolicy;
use crate::registry::breaker::{BreakerChange, Judgement, OpenReason, Trial};
use crate::registry::claims::{Claim, conflict};
use crate::registry::events::RegistryEvents;
use crate::registry::generation::Generation;
use crate::registry::memory::{IncumbentState, RunnerMemory};
use crate::registry::setbacks::OpenBreaker;
use crate::registry::slot::{RetryWhen, RunnerSlot, StageChange};
use crate::registry::trial::CanaryVerdict;
use crate::registry::view::BreakerView;

/// How much of a name that somebody asked for is shown, in bytes.
const MAX_NAME: usize = 80;

/// The slots by name, behind the lock of a [`RunnerTable`](crate::registry::table::RunnerTable).
#[derive(Default)]
pub(crate) struct TableState {
    /// By file stem.
    pub(crate) slots: BTreeMap<String, RunnerSlot>,
    /// How often each stage was reached.
    pub(crate) transitions: BTreeMap<LoadStage, u64>,
    /// Who is told of what happens.
    pub(crate) events: RegistryEvents,
    /// Whose files were there at the last look.
    pub(crate) there: BTreeSet<String>,
    /// Who served what, how components described themselves, and what was decided against runners.
    pub(crate) memory: RunnerMemory,
    /// Breakers that were open in an earlier process, of runners that are not live yet.
    recalled: BTreeMap<String, OpenBreaker>,
    /// Something is to be remembered that `remember` does not see by itself.
    learned: bool,
}

impl TableState {
    /// What the live generations claim, whatever their breakers say: two that clash clash all the same.
    pub(crate) fn claims(&self) -> Vec<Claim> {
        self.slots.iter().filter_map(|(name, slot)| slot.claim(name)).collect()
    }

    /// What there should be new tasks for now. A runner whose breaker is open claims nothing, so that the next one by
    /// priority serves its capabilities meanwhile, if there is one.
    pub(crate) fn admitted(&self) -> Vec<Claim> {
        self.slots.iter().filter_map(|(name, slot)| slot.admitted(name)).collect()
    }

    /// Why a runner may not go live with this claim: another live one has the same, or one that served it before is there.
    pub(crate) fn blocked(&self, claim: &Claim) -> Option<String> {
        conflict(claim, &self.claims())
            .or_else(|| self.memory.reserved(claim, |name| self.incumbent_state(name)))
    }

    /// Notes who serves what, whatever the breakers say. Whether that has changed.
    pub(crate) fn remember(&mut self) -> bool {
        let (claims, mut memory) = (self.claims(), std::mem::take(&mut self.memory));
        let digest = |name: &str| Some(self.slots.get(name)?.live.as_ref()?.digest.clone());
        let changed = memory.observe(&claims, digest, |name| self.incumbent_state(name));
        let breakers = memory.setbacks.observe(self.slots.iter(), |name| self.recalled.contains_key(name));
        self.memory = memory;
        changed || breakers || std::mem::take(&mut self.learned)
    }

    /// Takes over what an earlier process has remembered.
    pub(crate) fn recall(&mut self, memory: RunnerMemory) {
        self.recalled = memory.setbacks.breakers();
        self.memory = memory;
    }

    /// Notes whose files are there. Of who is gone nothing is remembered.
    pub(crate) fn files_there(&mut self, names: BTreeSet<String>) {
        let known = self.memory.incumbents();
        let gone = known.iter().chain(self.memory.setbacks.names()).filter(|name| !names.contains(*name));
        for name in gone.cloned().collect::<BTreeSet<String>>() {
            self.forget(&name);
        }
        self.there = names;
    }

    /// A runner has left with its file: nothing of it is remembered.
    pub(crate) fn forget(&mut self, name: &str) {
        self.recalled.remove(name);
        let setbacks = self.memory.setbacks.forget(name);
        self.learned |= self.memory.forget(name) || setbacks;
    }

    /// A runner has left, and its file is there: what it served is free.
    pub(crate) fn leave(&mut self, name: &str) {
        self.learned |= self.memory.forget(name);
    }

    /// A generation that has passed every stage takes its place. Why it does not serve, if its code was taken back before.
    pub(crate) fn arrive(
        &mut self,
        name: &str,
        generation: Arc<Generation>,
        canary: Option<CanaryPolicy>,
        is_new_code: bool,
    ) {
        let held = self.memory.setbacks.held_back(name, &generation.digest);
        self.events.granted(&generation);
        let slot = self.slots.entry(name.to_owned()).or_default();
        if let Some(why) = held.clone().filter(|_| slot.live.is_none()) {
            tracing::error!(
                runner = name,
                generation = generation.label(),
                "the newest file does not serve: {why}"
            );
            let changes = slot.hold_back(generation, why.clone());
            return self.note(name, changes, &why);
        }
        // The same bytes once more are no new code.
        let is_new_code = is_new_code && held.is_none();
        let changes = slot.arrive(generation, canary, is_new_code);
        let why = if is_new_code { "a file that is new has passed" } else { "it was loaded again" };
        self.note(name, changes, why);
        if held.is_none() {
            self.learned |= self.memory.setbacks.accept(name);
        }
        self.reopen(name);
    }

    /// The code that served in place of one that was taken back does so again, from the cache.
    pub(crate) fn serve_kept(&mut self, name: &str, generation: Arc<Generation>) {
        self.events.granted(&generation);
        let slot = self.slot(name);
        if slot.live.is_some() {
            return;
        }
        let changes = slot.serve_kept(generation);
        self.note(name, changes, "the newest file was rolled back before the node was started anew");
        self.reopen(name);
    }

    /// The breaker of a runner that has just gone live is open if it was when an earlier process ended.
    fn reopen(&mut self, name: &str) {
        let Some(slot) = self.slots.get_mut(name) else { return };
        let Some(live) = &slot.live else { return };
        let Some(breaker) = self.recalled.remove(name).filter(|breaker| breaker.is_of(live)) else { return };
        let (left, reason) = (breaker.left(), breaker.reason());
        if slot.breaker.reopen(left, breaker.openings, reason.clone(), Instant::now()) {
            let why = format!("{} (before the node was started anew)", reason.why);
            let opened = BreakerChange::Opened(left, OpenReason { why, ..reason });
            log_breaker(name, &opened);
            self.events.breaker(name, &opened);
        }
    }

    /// Takes the newest generation of a runner back. See [`Registry::roll_back`](crate::registry::Registry::roll_back).
    pub(crate) fn roll_back(&mut self, name: &str) -> Result<String, String> {
        let Some(slot) = self.slots.get(name) else { return Err(self.unknown(name)) };
        // The previous one may claim what somebody else has taken over meanwhile.
        let returning = slot.previous.as_ref().filter(|_| slot.canary.is_none()).map(|old| old.claim(name));
        if let Some(clash) = returning.and_then(|claim| self.blocked(&claim)) {
            return Err(format!("rolling {name} back: {clash}"));
        }
        let slot = self.slot(name);
        let back = slot.newest().cloned();
        let changes = slot.roll_back().map_err(|reason| format!("rolling {name} back: {reason}"))?;
        if back.is_none() {
            // It was held back, and now it serves.
            slot.refused = None;
        }
        let live = slot.live.clone();
        let now = live.as_ref().map(|live| live.label()).unwrap_or_default();
        tracing::warn!(runner = name, now, "rolled back by the operator");
        self.events.rolled_back(name, "by the operator");
        self.note(name, changes, "rolled back by the operator");
        match back {
            Some(back) => self.took_back(name, &back, live.as_deref(), "by the operator"),
            None => self.learned |= self.memory.setbacks.accept(name),
        }
        Ok(now)
    }

    fn took_back(&mut self, name: &str, back: &Generation, serves: Option<&Generation>, why: &str) {
        self.memory.setbacks.roll_back(name, back, serves, why);
        self.learned = true;
    }

    /// Ends the trial of a runner's canary, if enough is known of it. What changes, and why.
    pub(crate) fn conclude_trial(&mut self, name: &str) -> Option<(Vec<StageChange>, String)> {
        let verdict = self.slots.get(name)?.verdict()?;
        // It was alone with its claims when it came, and others may have come since.
        let canary = self.slots.get(name)?.canary.as_ref().map(|canary| canary.generation.clone());
        let claim = canary.as_ref().map(|canary| canary.claim(name));
        let blocked = claim.and_then(|claim| Some((self.blocked(&claim)?, claim)));
        let slot = self.slot(name);
        match (verdict, blocked) {
            (CanaryVerdict::Open, _) => None,
            // The verdict is logged before the changes that it causes, so that the log reads in order.
            (CanaryVerdict::RollBack(why), _) => {
                tracing::error!(runner = name, "canary rolled back: {why}");
                let changes = slot.reject(&why, RetryWhen::Requested);
                let live = slot.live.clone();
                self.events.rolled_back(name, &why);
                if let Some(canary) = canary {
                    self.took_back(name, &canary, live.as_deref(), &why);
                }
                Some((changes, why))
            }
            (CanaryVerdict::GoLive, Some((clash, claim))) => {
                tracing::error!(runner = name, "the canary has passed its trial and can't go live: {clash}");
                let changes = slot.reject(&clash, RetryWhen::Unclaimed(claim));
                self.events.rolled_back(name, &clash);
                Some((changes, clash))
            }
            (CanaryVerdict::GoLive, None) => {
                tracing::info!(runner = name, "the canary has passed its trial");
                Some((slot.promote(), "it has passed its trial".to_owned()))
            }
        }
    }

    fn incumbent_state(&self, name: &str) -> IncumbentState {
        let slot = self.slots.get(name);
        if !self.there.contains(name) || slot.is_some_and(|slot| slot.live.is_some()) {
            return IncumbentState::Settled;
        }
        match slot {
            Some(slot) if slot.refused.is_some() && slot.loading.is_none() => IncumbentState::Refused,
            _ => IncumbentState::Awaited,
        }
    }

    /// See [`RunnerTable::conclude_trials`](crate::registry::table::RunnerTable::conclude_trials). Whether anything has
    /// changed.
    pub(crate) fn conclude_trials(&mut self) -> bool {
        let mut changed = self.tick();
        // The names are copied because the loop removes slots from the map and notes changes in the same state.
        let at_work =
            |slot: &RunnerSlot| slot.canary.is_some() || !slot.draining.is_empty() || slot.is_empty();
        let busy = self.slots.iter().filter(|(_, slot)| at_work(slot));
        let names: Vec<String> = busy.map(|(name, _)| name.clone()).collect();
        for name in names {
            let judged = self.conclude_trial(&name);
            let slot = self.slot(&name);
            let gone = slot.sweep();
            let empty = slot.is_empty();
            changed |= judged.is_some() || !gone.is_empty() || empty;
            self.note(&name, gone, "its last task has ended");
            if let Some((changes, why)) = judged {
                self.note(&name, changes, &why);
            }
            if empty {
                self.slots.remove(&name);
            }
        }
        changed
    }

    /// Makes the breakers half open whose time is over. Whether there was one.
    fn tick(&mut self) -> bool {
        let (now, mut changed) = (Instant::now(), false);
        for (name, slot) in &mut self.slots {
            if let Some(change) = slot.breaker.tick(now) {
                log_breaker(name, &change);
                self.events.breaker(name, &change);
                changed = true;
            }
        }
        changed
    }

    pub(crate) fn slot(&mut self, name: &str) -> &mut RunnerSlot {
        self.slots.entry(name.to_owned()).or_default()
    }

    /// Why a name that somebody asked for is not there.
    pub(crate) fn unknown(&self, name: &str) -> String {
        let known: Vec<&str> = self.slots.keys().map(String::as_str).collect();
        let name = one_line(name, MAX_NAME);
        format!("there is no runner {name}; there are: {}", one_line(known.join(", "), MAX_CAUSE))
    }

    pub(crate) fn count(&mut self, stage: LoadStage) {
        *self.transitions.entry(stage).or_default() += 1;
    }

    /// Counts and logs changes of stages; `why` they came about.
    pub(crate) fn note(&mut self, name: &str, changes: Vec<StageChange>, why: &str) {
        for (generation, stage) in changes {
            self.count(stage);
            tracing::info!(runner = name, generation, %stage, "runner {stage}");
            self.events.stage(&generation, stage, why);
        }
    }

    /// Counts and judges a run that has ended; `trial` is what its task was picked with. Whether its breaker has changed.
    pub(crate) fn run_ended(
        &mut self,
        name: &str,
        number: u64,
        trial: Option<Trial>,
        result: &Result<(), RunFailure>,
    ) -> bool {
        let judgement = match result {
            Ok(()) => Judgement::Completed,
            Err(failure) if failure.blame == Blame::Runner => Judgement::Failed(&failure.reason),
            Err(_) => Judgement::Nothing,
        };
        // The slot of a runner that is gone is not made anew.
        let Some(slot) = self.slots.get_mut(name) else { return false };
        if let Err(failure) = result {
            slot.failures.count(failure.blame);
        }
        let change = slot.ended(number, trial, judgement);
        if let Some(change) = &change {
            log_breaker(name, change);
            self.events.breaker(name, change);
        }
        change.is_some()
    }

    /// The task of a trial has ended without a result, so that another one is to be the trial.
    pub(crate) fn trial_dropped(&mut self, name: &str, number: u64, trial: Trial) {
        if let Some(slot) = self.slots.get_mut(name) {
            // Nothing opens and nothing closes by it, so that there is nothing to log.
            let _ = slot.ended(number, Some(trial), Judgement::Nothing);
        }
    }

    /// When the next breaker will be half open.
    pub(crate) fn next_half_open(&self) -> Option<Instant> {
        self.slots.values().filter_map(|slot| slot.breaker.due()).min()
    }

    /// See [`Registry::close_breaker`](crate::registry::Registry::close_breaker).
    pub(crate) fn close_breaker(&mut self, name: &str) -> Result<bool, String> {
        let Some(slot) = self.slots.get_mut(name) else { return Err(self.unknown(name)) };
        if slot.live.is_none() {
            return Err(format!("nothing of {} is live", one_line(name, MAX_NAME)));
        }
        if slot.breaker.status().is_none() {
            let name = one_line(name, MAX_NAME);
            return Err(format!(
                "{name} has no circuit breaker: {name}.toml says `enabled = false` in [breaker]"
            ));
        }
        let closed = slot.breaker.close();
        if closed {
            tracing::warn!(runner = name, "circuit breaker closed by the operator");
            self.events.breaker_closed_by_operator(name);
        }
        Ok(closed)
    }

    /// What is withheld because of breakers, a text for each runner.
    pub(crate) fn suspended(&self) -> Vec<String> {
        let shut = self.slots.iter().filter(|(_, slot)| !slot.breaker.admits());
        shut.filter_map(|(name, slot)| Some(BreakerView::of(slot)?.sentence(name))).collect()
    }
}

fn log_breaker(name: &str, change: &BreakerChange) {
    match change {
        BreakerChange::Opened(time, OpenReason { why, last_failure }) => tracing::error!(
            runner = name,
            open_secs = time.as_secs(),
            "circuit breaker opened for {} s: {why}; the runner gets no new task meanwhile. The last failure: {}",
            time.as_secs(),
            last_failure,
        ),
        BreakerChange::HalfOpened => {
            tracing::info!(runner = name, "circuit breaker half open: the next task tries the runner");
        }
        BreakerChange::Closed => {
            tracing::info!(runner = name, "circuit breaker closed: the task that tried the runner completed");
        }
    }
}
