//! What a table of runners knows: the slots by name, and what follows from all of them together.

use std::collections::{BTreeMap, BTreeSet};

use posemesh_runner_api::failure::{Blame, RunFailure};
use posemesh_text::one_line;
use tokio::time::Instant;

use crate::load::error::MAX_CAUSE;
use crate::load::stage::LoadStage;
use crate::registry::breaker::{BreakerChange, Judgement, OpenReason, Trial};
use crate::registry::claims::{Claim, conflict};
use crate::registry::events::RegistryEvents;
use crate::registry::memory::{IncumbentState, RunnerMemory};
use crate::registry::slot::{RunnerSlot, StageChange};
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
    /// Who served what, and how components described themselves.
    pub(crate) memory: RunnerMemory,
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
        self.memory = memory;
        changed
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

    /// Makes the breakers half open whose time is over.
    pub(crate) fn tick(&mut self) {
        let now = Instant::now();
        for (name, slot) in &mut self.slots {
            if let Some(change) = slot.breaker.tick(now) {
                log_breaker(name, &change);
                self.events.breaker(name, &change);
            }
        }
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

    /// Counts and logs changes of stages.
    pub(crate) fn note(&mut self, name: &str, changes: Vec<StageChange>) {
        for (generation, stage) in changes {
            self.count(stage);
            tracing::info!(runner = name, generation, %stage, "runner {stage}");
            self.events.stage(&generation, stage);
        }
    }

    /// Counts and judges a run that has ended; `trial` is what its task was picked with.
    pub(crate) fn run_ended(
        &mut self,
        name: &str,
        number: u64,
        trial: Option<Trial>,
        result: &Result<(), RunFailure>,
    ) {
        let judgement = match result {
            Ok(()) => Judgement::Completed,
            Err(failure) if failure.blame == Blame::Runner => Judgement::Failed(&failure.reason),
            Err(_) => Judgement::Nothing,
        };
        // The slot of a runner that is gone is not made anew.
        let Some(slot) = self.slots.get_mut(name) else { return };
        if let Err(failure) = result {
            slot.failures.count(failure.blame);
        }
        if let Some(change) = slot.ended(number, trial, judgement) {
            log_breaker(name, &change);
            self.events.breaker(name, &change);
        }
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
