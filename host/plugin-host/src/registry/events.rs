//! What a registry tells whoever keeps a record of it: grants, generations, refusals, ended runners, circuit breakers.
//!
//! The registry knows nothing of files or of an audit: it hands events to one [`RegistryObserver`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use posemesh_runner_api::failure::{FailureKind, RunFailure};
use posemesh_runner_api::runner::Runner as _;
use uuid::Uuid;

use crate::load::stage::LoadStage;
use crate::manifest::policy::Grant;
use crate::registry::breaker::{BreakerChange, OpenReason};
use crate::registry::generation::Generation;
use crate::registry::slot::LoadRefusal;

/// Is told what happens in a registry.
///
/// It is called with the registry's lock held: it must neither wait nor ask the registry anything.
pub trait RegistryObserver: Send + Sync {
    /// Something has happened.
    fn observe(&self, event: &RegistryEvent<'_>);
}

/// Which generation an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationId {
    /// The name of its file, without the ending.
    pub runner: String,
    /// Counts the loads of this node.
    pub number: u64,
    /// The runner's own version.
    pub version: String,
    /// SHA-256 of its file, in hex.
    pub sha256: String,
}

impl GenerationId {
    fn of(generation: &Generation) -> Self {
        Self {
            runner: generation.name.clone(),
            number: generation.number,
            version: generation.description.version.clone(),
            sha256: generation.digest.clone(),
        }
    }
}

/// One thing that has happened. Texts of runners in it are bounded and on one line.
#[derive(Debug)]
pub enum RegistryEvent<'a> {
    /// A generation has passed every stage, and this is what it may do.
    Granted {
        /// Which one.
        generation: &'a GenerationId,
        /// What it claims to serve.
        capabilities: &'a [String],
        /// What counts for it.
        grant: &'a Grant,
    },
    /// A generation has come to a stage: canary, live, previous, draining or gone.
    Stage {
        /// Which one.
        generation: &'a GenerationId,
        /// How far it is.
        stage: LoadStage,
        /// Why, in words.
        why: &'a str,
    },
    /// The newest file of a runner does not serve.
    Refused {
        /// The runner.
        runner: &'a str,
        /// Counts the loads of this node.
        number: u64,
        /// SHA-256 of its file, in hex; none if the file could not be read.
        sha256: Option<&'a str>,
        /// The last stage that it passed.
        passed: LoadStage,
        /// Why, in words.
        reason: &'a str,
    },
    /// The newest generation of a runner was taken back.
    RolledBack {
        /// The runner.
        runner: &'a str,
        /// By whom or by what, in words.
        why: &'a str,
    },
    /// A runner has gone.
    Withdrawn {
        /// The runner.
        runner: &'a str,
        /// Why, in words.
        why: &'a str,
    },
    /// A run was ended by the host: a limit, its deadline, or because it could not be ended otherwise.
    Ended {
        /// Of which generation.
        generation: GenerationId,
        /// Of which task.
        task: Uuid,
        /// How.
        kind: FailureKind,
        /// In words.
        reason: &'a str,
    },
    /// A circuit breaker has changed.
    Breaker {
        /// The runner.
        runner: &'a str,
        /// What it does now: `open`, `half_open` or `closed`.
        state: &'static str,
        /// Why, in words.
        why: &'a str,
    },
}

/// Where the events of one registry go, and what is known of its generations by their labels.
#[derive(Default)]
pub(crate) struct RegistryEvents {
    observer: Option<Arc<dyn RegistryObserver>>,
    known: BTreeMap<String, GenerationId>,
}

impl RegistryEvents {
    /// From now on this one is told.
    pub(crate) fn observe_by(&mut self, observer: Arc<dyn RegistryObserver>) {
        self.observer = Some(observer);
    }

    fn tell(&self, event: &RegistryEvent<'_>) {
        if let Some(observer) = &self.observer {
            observer.observe(event);
        }
    }

    /// A generation is about to take its place.
    pub(crate) fn granted(&mut self, generation: &Generation) {
        let id = GenerationId::of(generation);
        let terms = generation.terms();
        let (capabilities, grant) = (&terms.grant.capabilities, &terms.grant);
        self.tell(&RegistryEvent::Granted { generation: &id, capabilities, grant });
        self.known.insert(generation.label(), id);
    }

    /// The generation of this label has come to a stage.
    pub(crate) fn stage(&mut self, label: &str, stage: LoadStage, why: &str) {
        if let Some(generation) = self.known.get(label) {
            self.tell(&RegistryEvent::Stage { generation, stage, why });
        }
        if stage == LoadStage::Gone {
            self.known.remove(label);
        }
    }

    pub(crate) fn refused(&self, runner: &str, refusal: &LoadRefusal) {
        let LoadRefusal { number, digest, passed, reason, .. } = refusal;
        let (number, sha256, passed) = (*number, digest.as_deref(), *passed);
        self.tell(&RegistryEvent::Refused { runner, number, sha256, passed, reason });
    }

    pub(crate) fn rolled_back(&self, runner: &str, why: &str) {
        self.tell(&RegistryEvent::RolledBack { runner, why });
    }

    pub(crate) fn withdrawn(&self, runner: &str, why: &str) {
        self.tell(&RegistryEvent::Withdrawn { runner, why });
    }

    /// A run has failed; told if it was the host that ended it.
    pub(crate) fn run_failed(&self, generation: &Generation, task: Uuid, failure: &RunFailure) {
        let kind = failure.kind;
        if matches!(
            kind,
            FailureKind::Limit | FailureKind::Deadline | FailureKind::Stuck | FailureKind::Crashed
        ) {
            let generation = GenerationId::of(generation);
            self.tell(&RegistryEvent::Ended { generation, task, kind, reason: &failure.reason });
        }
    }

    pub(crate) fn breaker(&self, runner: &str, change: &BreakerChange) {
        let opened;
        let (state, why) = match change {
            BreakerChange::Opened(time, OpenReason { why, .. }) => {
                opened = format!("{why}; for {} s", time.as_secs());
                ("open", opened.as_str())
            }
            BreakerChange::HalfOpened => ("half_open", "its time is over"),
            BreakerChange::Closed => ("closed", "the task that tried the runner completed"),
        };
        self.tell(&RegistryEvent::Breaker { runner, state, why });
    }

    pub(crate) fn breaker_closed_by_operator(&self, runner: &str) {
        self.tell(&RegistryEvent::Breaker { runner, state: "closed", why: "closed by the operator" });
    }
}

impl fmt::Debug for RegistryEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryEvents").field("known", &self.known.len()).finish_non_exhaustive()
    }
}
