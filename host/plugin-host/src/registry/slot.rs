//! One name in `PLUGINS_DIR`: the generations that it has, and how one takes another's place.

use std::sync::{Arc, Weak};

use tokio::time::Instant;

use super::served::Claim;
use crate::canary::{CanaryPolicy, Trial, Verdict};
use crate::generation::Generation;
use crate::stage::Stage;
use posemesh_runner_api::runner::Runner as _;

/// The generations of one runner.
#[derive(Debug, Default)]
pub struct Slot {
    /// Gets the new tasks.
    pub live: Option<Arc<Generation>>,
    /// Gets some of them.
    pub canary: Option<Trial>,
    /// Is kept for a rollback.
    pub previous: Option<Arc<Generation>>,
    /// Get none and end what they have.
    pub draining: Vec<Leaving>,
    /// The load that goes on: its number and what it has passed.
    pub loading: Option<(u64, Stage)>,
    /// Why the newest file does not serve.
    pub refused: Option<Refusal>,
}

/// A generation that is kept by its tasks alone.
#[derive(Debug, Clone)]
pub struct Leaving {
    /// As in logs.
    pub label: String,
    /// Gone when nobody holds it.
    pub generation: Weak<Generation>,
}

/// Why a generation does not serve.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Which load.
    pub number: u64,
    /// The last stage that it passed.
    pub passed: Stage,
    /// In words.
    pub reason: String,
    /// What may change that without a change of the file.
    pub again: Again,
}

/// When a refused file is looked at again, though it has not changed.
#[derive(Debug, Clone)]
pub enum Again {
    /// When somebody asks for it.
    OnRequest,
    /// From this time on: nothing is wrong with the file.
    At(Instant),
    /// When nobody else claims these any more.
    Unclaimed(Claim),
}

/// A change of a generation's stage, to be logged and counted.
pub type Change = (String, Stage);

impl Slot {
    /// A generation that has passed every stage takes its place: beside the live one if it is to be
    /// tried first, else instead of it.
    pub fn arrive(&mut self, generation: Arc<Generation>, canary: Option<CanaryPolicy>) -> Vec<Change> {
        let mut changes = self.drop_canary();
        self.refused = None;
        match canary.filter(|_| self.live.is_some()) {
            Some(policy) => {
                changes.push((generation.label(), Stage::Canary));
                self.canary = Some(Trial::new(generation, policy));
            }
            None => changes.extend(self.go_live(generation)),
        }
        changes
    }

    /// Ends the canary's trial if enough is known, and says how.
    pub fn judge(&mut self) -> Option<(Verdict, Vec<Change>)> {
        let verdict = self.canary.as_ref()?.verdict();
        let changes = match &verdict {
            Verdict::Open => return None,
            Verdict::GoLive => {
                let trial = self.canary.take()?;
                self.go_live(trial.generation)
            }
            Verdict::RollBack(why) => {
                let number = self.canary.as_ref()?.generation.number;
                let changes = self.drop_canary();
                self.refuse(number, Stage::Canary, format!("rolled back: {why}"));
                changes
            }
        };
        Some((verdict, changes))
    }

    /// Takes the newest generation back: a canary, or else the live one, whose place the previous one
    /// takes.
    ///
    /// # Errors
    /// When there is nothing to go back to.
    pub fn roll_back(&mut self) -> Result<Vec<Change>, String> {
        if let Some(trial) = &self.canary {
            let number = trial.generation.number;
            let changes = self.drop_canary();
            self.refuse(number, Stage::Canary, "rolled back by the operator".to_owned());
            return Ok(changes);
        }
        let Some(previous) = self.previous.take() else {
            return Err("it has no previous generation to go back to".to_owned());
        };
        if let Some(live) = &self.live {
            let number = live.number;
            self.refuse(number, Stage::Live, "rolled back by the operator".to_owned());
        }
        Ok(self.go_live(previous))
    }

    /// Nothing of it gets another task.
    pub fn withdraw(&mut self) -> Vec<Change> {
        let mut changes = self.drop_canary();
        for generation in self.previous.take().into_iter().chain(self.live.take()) {
            changes.push(self.leave(&generation));
        }
        changes
    }

    /// Says why a load does not serve; what serves goes on.
    pub fn refuse(&mut self, number: u64, passed: Stage, reason: String) {
        self.refused = Some(Refusal { number, passed, reason, again: Again::OnRequest });
    }

    /// The generation of the next task.
    pub fn pick(&mut self, capability: &str) -> Option<Arc<Generation>> {
        let serves = |generation: &Generation| generation.serves(capability);
        let trial = self.canary.as_mut().filter(|trial| serves(&trial.generation));
        if let Some(trial) = trial.filter(|_| self.live.is_some())
            && trial.takes_next()
        {
            return Some(trial.generation.clone());
        }
        self.live.clone().filter(|live| serves(live))
    }

    /// Forgets those that nobody holds any more.
    pub fn sweep(&mut self) -> Vec<Change> {
        let gone = self.draining.extract_if(.., |leaving| leaving.generation.strong_count() == 0);
        gone.map(|leaving| (leaving.label, Stage::Gone)).collect()
    }

    /// Whether there is nothing left to tell of it.
    pub fn is_empty(&self) -> bool {
        self.live.is_none()
            && self.canary.is_none()
            && self.previous.is_none()
            && self.draining.is_empty()
            && self.loading.is_none()
            && self.refused.is_none()
    }

    fn go_live(&mut self, generation: Arc<Generation>) -> Vec<Change> {
        let mut changes = vec![(generation.label(), Stage::Live)];
        if let Some(old) = self.live.replace(generation) {
            changes.push((old.label(), Stage::Previous));
            if let Some(older) = self.previous.replace(old) {
                changes.push(self.leave(&older));
            }
        }
        changes
    }

    fn drop_canary(&mut self) -> Vec<Change> {
        let trial = self.canary.take();
        trial.map(|trial| self.leave(&trial.generation)).into_iter().collect()
    }

    fn leave(&mut self, generation: &Arc<Generation>) -> Change {
        let label = generation.label();
        self.draining.push(Leaving { label: label.clone(), generation: Arc::downgrade(generation) });
        (label, Stage::Draining)
    }
}
