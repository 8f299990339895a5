//! One name in `PLUGINS_DIR`: the generations that it has, and how one takes another's place.

use std::sync::{Arc, Weak};

use posemesh_runner_api::runner::Runner as _;
use tokio::time::Instant;

use crate::load::stage::LoadStage;
use crate::manifest::breaker::BreakerPolicy;
use crate::manifest::canary::CanaryPolicy;
use crate::registry::breaker::{Breaker, BreakerChange, Judgement, Trial};
use crate::registry::claims::Claim;
use crate::registry::counters::FailureCounts;
use crate::registry::generation::Generation;
use crate::registry::trial::{CanaryTrial, CanaryVerdict};

/// The generations of one runner.
#[derive(Debug)]
pub(crate) struct RunnerSlot {
    /// The generation of the new tasks.
    pub(crate) live: Option<Arc<Generation>>,
    /// The circuit breaker of the live generation: each one starts with a closed one.
    pub(crate) breaker: Breaker,
    /// Failed runs of all its generations.
    pub(crate) failures: FailureCounts,
    /// The generation that gets some of the new tasks.
    pub(crate) canary: Option<Canary>,
    /// The generation that is kept for a rollback.
    pub(crate) previous: Option<Arc<Generation>>,
    /// Generations that get no new task and end those that they have.
    pub(crate) draining: Vec<DrainingGeneration>,
    /// The load that goes on: its number and what it has passed.
    pub(crate) loading: Option<(u64, LoadStage)>,
    /// Why the newest file does not serve.
    pub(crate) refused: Option<LoadRefusal>,
}

impl Default for RunnerSlot {
    fn default() -> Self {
        Self {
            live: None,
            breaker: Breaker::new(BreakerPolicy::default()),
            failures: FailureCounts::default(),
            canary: None,
            previous: None,
            draining: Vec::new(),
            loading: None,
            refused: None,
        }
    }
}

/// The generation of a new task.
pub(crate) struct Picked {
    pub(crate) generation: Arc<Generation>,
    /// The task decides whether the breaker closes.
    pub(crate) trial: Option<Trial>,
}

/// A generation on trial.
#[derive(Debug)]
pub(crate) struct Canary {
    pub(crate) generation: Arc<Generation>,
    pub(crate) trial: CanaryTrial,
}

/// A generation that is kept by its tasks alone.
#[derive(Debug, Clone)]
pub(crate) struct DrainingGeneration {
    /// As in logs.
    pub(crate) label: String,
    /// Gone when nobody holds it.
    pub(crate) generation: Weak<Generation>,
}

/// Why a generation does not serve.
#[derive(Debug, Clone)]
pub(crate) struct LoadRefusal {
    /// Which load.
    pub(crate) number: u64,
    /// SHA-256 of its file, in hex; none if the file could not be read.
    pub(crate) digest: Option<String>,
    /// The last stage that it passed.
    pub(crate) passed: LoadStage,
    /// In words.
    pub(crate) reason: String,
    /// What may change that without a change of the file.
    pub(crate) retry: RetryWhen,
}

impl LoadRefusal {
    /// Of a generation that was loaded.
    pub(crate) fn of(generation: &Generation, passed: LoadStage, reason: String, retry: RetryWhen) -> Self {
        Self { number: generation.number, digest: Some(generation.digest.clone()), passed, reason, retry }
    }
}

/// When a refused file is loaded again, though it has not changed.
#[derive(Debug, Clone)]
pub(crate) enum RetryWhen {
    /// When somebody asks for it.
    Requested,
    /// From this time on: nothing is wrong with the file.
    After(Instant),
    /// When nobody else claims these any more.
    Unclaimed(Claim),
}

/// A change of a generation's stage, to be logged and counted.
pub(crate) type StageChange = (String, LoadStage);

impl RunnerSlot {
    /// A generation that has passed every stage takes its place: beside the live one if it is to be
    /// tried first, else instead of it. `is_new_code` says that the component's file has changed, and not its policy alone.
    pub(crate) fn arrive(
        &mut self,
        generation: Arc<Generation>,
        canary: Option<CanaryPolicy>,
        is_new_code: bool,
    ) -> Vec<StageChange> {
        let mut changes = self.drop_canary();
        // A rollback is the operator's word on the code; another policy for it does not undo that.
        if !is_new_code && self.live.is_some() && self.is_rolled_back() {
            changes.push((generation.label(), LoadStage::Previous));
            if let Some(older) = self.previous.replace(generation) {
                changes.push(self.drain(&older));
            }
            return changes;
        }
        // A newer file has passed, so the reason why an older one was refused would only mislead.
        self.refused = None;
        // Without a live generation nothing could serve the rest of the tasks, so there is no trial; nor is there anything
        // to try in code that serves already.
        let tried = self.live.as_ref().filter(|live| live.digest != generation.digest);
        match canary.zip(tried.map(|live| live.counters.counts())) {
            Some((policy, reference)) => {
                changes.push((generation.label(), LoadStage::Canary));
                self.canary = Some(Canary { generation, trial: CanaryTrial::new(policy, reference) });
            }
            None => changes.extend(self.go_live(generation)),
        }
        changes
    }

    /// A generation whose code was taken back before the node was started anew: it is kept for whoever wants it after all,
    /// and gets no task.
    pub(crate) fn hold_back(&mut self, generation: Arc<Generation>, why: String) -> Vec<StageChange> {
        let mut changes = self.drop_canary();
        changes.push((generation.label(), LoadStage::Previous));
        self.refuse(&generation, LoadStage::Live, why);
        if let Some(older) = self.previous.replace(generation) {
            changes.push(self.drain(&older));
        }
        changes
    }

    /// The code that was kept from an earlier process serves in place of one that was taken back.
    pub(crate) fn serve_kept(&mut self, generation: Arc<Generation>) -> Vec<StageChange> {
        self.go_live(generation)
    }

    /// The newest generation that may get a task: what a rollback takes back.
    pub(crate) fn newest(&self) -> Option<&Arc<Generation>> {
        self.canary.as_ref().map(|canary| &canary.generation).or(self.live.as_ref())
    }

    /// What is to become of the canary, if enough is known.
    pub(crate) fn verdict(&self) -> Option<CanaryVerdict> {
        let canary = self.canary.as_ref()?;
        let in_force = self.live.as_ref().map(|live| live.counters.counts()).unwrap_or_default();
        let verdict = canary.trial.verdict(canary.generation.counters.counts(), in_force);
        // No change, so nothing is logged or counted each time the trial is looked at.
        Some(verdict).filter(|verdict| *verdict != CanaryVerdict::Open)
    }

    /// The canary takes over.
    pub(crate) fn promote(&mut self) -> Vec<StageChange> {
        let canary = self.canary.take();
        canary.map(|canary| self.go_live(canary.generation)).unwrap_or_default()
    }

    /// The canary is taken back. Kept as a refusal, so that whoever looks at the runner sees why its newest file does not
    /// serve.
    pub(crate) fn reject(&mut self, why: &str, retry: RetryWhen) -> Vec<StageChange> {
        let Some(generation) = self.canary.as_ref().map(|canary| canary.generation.clone()) else {
            return Vec::new();
        };
        let changes = self.drop_canary();
        let reason = format!("rolled back: {why}");
        self.refused = Some(LoadRefusal::of(&generation, LoadStage::Canary, reason, retry));
        changes
    }

    /// The generations that may get another task, now or after a rollback.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &Arc<Generation>> {
        let canary = self.canary.as_ref().map(|canary| &canary.generation);
        self.live.iter().chain(canary).chain(&self.previous)
    }

    /// Takes over what the policy of today says of the runner as a whole.
    pub(crate) fn follow(&mut self, canary: Option<CanaryPolicy>) {
        if let (Some(trial), Some(policy)) = (self.canary.as_mut().map(|canary| &mut canary.trial), canary) {
            trial.set_policy(policy);
        }
        if let Some(live) = &self.live {
            let policy = live.terms().breaker.clone();
            // What it has seen was counted by other rules.
            if *self.breaker.policy() != policy {
                self.breaker = Breaker::new(policy);
            }
        }
    }

    /// Whether the newest code was taken back by the operator.
    fn is_rolled_back(&self) -> bool {
        self.refused.as_ref().is_some_and(|refused| refused.passed == LoadStage::Live)
    }

    /// Takes the newest generation back: a canary, or else the live one, whose place the previous one
    /// takes.
    ///
    /// # Errors
    /// When there is nothing to go back to.
    pub(crate) fn roll_back(&mut self) -> Result<Vec<StageChange>, String> {
        // A canary is the newest; taking it back leaves the live generation and the previous one as they were.
        if let Some(canary) = self.canary.as_ref().map(|canary| canary.generation.clone()) {
            let changes = self.drop_canary();
            self.refuse(&canary, LoadStage::Canary, "rolled back by the operator".to_owned());
            return Ok(changes);
        }
        // Taken first, since `go_live` puts the generation that it replaces into this place.
        let Some(previous) = self.previous.take() else {
            return Err("it has no previous generation to go back to".to_owned());
        };
        if let Some(live) = self.live.clone() {
            self.refuse(&live, LoadStage::Live, "rolled back by the operator".to_owned());
        }
        Ok(self.go_live(previous))
    }

    /// Nothing of it gets another task.
    pub(crate) fn withdraw(&mut self) -> Vec<StageChange> {
        let mut changes = self.drop_canary();
        for generation in self.previous.take().into_iter().chain(self.live.take()) {
            changes.push(self.drain(&generation));
        }
        self.breaker = Breaker::new(BreakerPolicy::default());
        changes
    }

    /// Notes why a generation that has passed every stage does not serve.
    fn refuse(&mut self, generation: &Generation, passed: LoadStage, reason: String) {
        self.refused = Some(LoadRefusal::of(generation, passed, reason, RetryWhen::Requested));
    }

    /// What the live generation claims, under the name of its file.
    pub(crate) fn claim(&self, name: &str) -> Option<Claim> {
        self.live.as_ref().map(|live| live.claim(name))
    }

    /// What there should be new tasks for now: while the breaker keeps the live generation from them, what a canary
    /// serves in its place, which is everything or nothing as a rule.
    pub(crate) fn admitted(&self, name: &str) -> Option<Claim> {
        let mut claim = self.claim(name)?;
        if !self.breaker.admits() {
            let canary = self.canary.as_ref();
            claim
                .capabilities
                .retain(|capability| canary.is_some_and(|canary| canary.generation.serves(capability)));
        }
        Some(claim)
    }

    /// The generation of the next task.
    pub(crate) fn pick(&mut self, capability: &str) -> Option<Picked> {
        let serves = |generation: &Generation| generation.serves(capability);
        let canary = self.canary.as_mut().filter(|canary| serves(&canary.generation));
        // A canary may be the cure of a live generation that fails again and again: it gets all tasks then. Asked
        // last: `takes_next` spends the share, which only a task that the canary could serve may do.
        if let Some(canary) = canary.filter(|_| self.live.is_some())
            && (!self.breaker.admits() || canary.trial.takes_next())
        {
            return Some(Picked { generation: canary.generation.clone(), trial: None });
        }
        // The owner of a capability is found by claims; checked again so that no task reaches a runner without it.
        let generation = self.live.clone().filter(|live| serves(live))?;
        Some(Picked { generation, trial: self.breaker.begin() })
    }

    /// A task of a generation has ended; only those of the live one say something to the breaker, a canary is judged
    /// by its trial.
    pub(crate) fn ended(
        &mut self,
        number: u64,
        trial: Option<Trial>,
        judgement: Judgement<'_>,
    ) -> Option<BreakerChange> {
        let is_live = self.live.as_ref().is_some_and(|live| live.number == number);
        let draw = fastrand::f64();
        is_live.then(|| self.breaker.ended(trial, judgement, Instant::now(), draw)).flatten()
    }

    /// Forgets those that nobody holds any more.
    pub(crate) fn sweep(&mut self) -> Vec<StageChange> {
        // Only tasks hold a draining generation, so no holder means that its last task has ended.
        let gone = self.draining.extract_if(.., |old| old.generation.strong_count() == 0);
        gone.map(|old| (old.label, LoadStage::Gone)).collect()
    }

    /// Whether there is nothing left to tell of it.
    pub(crate) fn is_empty(&self) -> bool {
        self.live.is_none()
            && self.canary.is_none()
            && self.previous.is_none()
            && self.draining.is_empty()
            && self.loading.is_none()
            && self.refused.is_none()
    }

    fn go_live(&mut self, generation: Arc<Generation>) -> Vec<StageChange> {
        let mut changes = vec![(generation.label(), LoadStage::Live)];
        // What an older one did says nothing of this one, and a rollback is the operator's word that it is better.
        self.breaker = Breaker::new(generation.terms().breaker.clone());
        let digest = generation.digest.clone();
        if let Some(old) = self.live.replace(generation) {
            // The same code under other terms: going back to it would change nothing, so the one before it is kept.
            if old.digest == digest {
                changes.push(self.drain(&old));
                return changes;
            }
            changes.push((old.label(), LoadStage::Previous));
            // One is kept for a rollback and no more: each keeps its compiled code in memory.
            if let Some(older) = self.previous.replace(old) {
                changes.push(self.drain(&older));
            }
        }
        changes
    }

    fn drop_canary(&mut self) -> Vec<StageChange> {
        let canary = self.canary.take();
        canary.map(|canary| self.drain(&canary.generation)).into_iter().collect()
    }

    fn drain(&mut self, generation: &Arc<Generation>) -> StageChange {
        let label = generation.label();
        // Weak, so that this list does not keep the code loaded after the last task has ended.
        self.draining
            .push(DrainingGeneration { label: label.clone(), generation: Arc::downgrade(generation) });
        (label, LoadStage::Draining)
    }
}
