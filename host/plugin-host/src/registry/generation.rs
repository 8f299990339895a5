//! One generation of a runner: code, and the terms under which it runs; a task keeps both from its start to its end.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::runner::{Runner, RunnerCall, RunnerNeeds};
use posemesh_text::one_line;

use crate::code::footprint::Footprint;
use crate::folders::PrivateFolders;
use crate::instance::memory::counted_instance_bytes;
use crate::load::error::LoadError;
use crate::load::loader::{LoadedComponent, Loader};
use crate::load::stage::{LoadStage, Reached};
use crate::manifest::description::Description;
use crate::manifest::limits::Limits;
use crate::manifest::policy::Policy;
use crate::ports::guarded;
use crate::registry::claims::Claim;
use crate::registry::counters::RunCounters;
use crate::registry::granted_folders::{check_directories, open_directories};
use crate::registry::guests::Guests;
use crate::registry::terms::Terms;

/// The longest name in a label, in bytes; longer than a file's.
const MAX_NAME: usize = 300;

/// A runner that has passed every stage: a [`Runner`] that can be run as it is, or by way of a
/// [`Registry`](crate::registry::Registry).
pub struct Generation {
    /// The file's stem: the name that the operator knows.
    pub name: String,
    /// Counts the loads of this node.
    pub number: u64,
    /// The component's file.
    pub path: PathBuf,
    /// What the runner says of itself.
    pub description: Description,
    /// SHA-256 of the file, in hex.
    pub digest: String,
    /// Size of the file, in bytes.
    pub bytes: u64,
    /// Whether its code came from the cache.
    pub cached: bool,
    /// What an instance costs before it runs.
    pub(crate) footprint: Footprint,
    pub(crate) counters: RunCounters,
    /// What the operator allows it today.
    terms: RwLock<Arc<Terms>>,
    guests: Guests,
    private: Arc<PrivateFolders>,
}

impl Generation {
    /// Takes a file through every stage: read, verified, compiled, linked, probed, granted.
    ///
    /// `environment` looks up the node's value of a granted variable; `reached` is called with each stage.
    ///
    /// # Errors
    /// At the first stage that it does not pass; the text says which and why.
    pub async fn load(
        loader: &Loader,
        path: &Path,
        number: u64,
        policy: &Policy,
        environment: &(dyn Fn(&str) -> Option<String> + Sync),
        reached: Reached<'_>,
    ) -> Result<Self, LoadError> {
        // Before anything is compiled for it.
        check_directories(loader, path, policy).await?;
        let loaded = loader.load(path, reached).await?;
        Self::of(loader, path, loaded, number, policy, environment, reached).await
    }

    /// Takes code through the stages that is compiled already.
    ///
    /// # Errors
    /// As [`Generation::load`].
    pub(crate) async fn of(
        loader: &Loader,
        path: &Path,
        loaded: LoadedComponent,
        number: u64,
        policy: &Policy,
        environment: &(dyn Fn(&str) -> Option<String> + Sync),
        reached: Reached<'_>,
    ) -> Result<Self, LoadError> {
        // `describe` reaches none of them; they are opened now so that the process need not be started again for a task.
        let folders = check_directories(loader, path, policy).await?;
        let LoadedComponent { code, footprint, digest, bytes, cached } = loaded;
        // Before the first instance: no description could get it more than this.
        let ceiling = policy.limits.memory_bytes.unwrap_or(u64::MAX).min(loader.maximum().memory_bytes);
        check_start(path, &footprint, ceiling)?;
        let time = loader.describe_time();
        let limits = Limits::probe(&policy.limits, loader.maximum(), loader.defaults(), time);
        let (guests, raw) = Guests::load(loader, path, code, footprint, &limits, folders, reached).await?;
        let description =
            Description::check(raw).map_err(|what| LoadError::Description { path: path.to_owned(), what })?;
        // Only now: what is granted depends on what the runner asked for in its description.
        let terms = Terms::new(policy, &description, loader, environment);
        check_start(path, &footprint, terms.grant.limits.memory_bytes)?;
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        // After the checks of the description: a runner whose description is refused has not passed the probe.
        reached(LoadStage::Probed);
        Ok(Self {
            name,
            number,
            path: path.to_owned(),
            description,
            digest,
            bytes,
            cached,
            footprint,
            counters: RunCounters::default(),
            terms: RwLock::new(Arc::new(terms)),
            guests,
            private: loader.private().clone(),
        })
    }

    /// What the operator allows it today: the terms of its next task.
    pub fn terms(&self) -> Arc<Terms> {
        self.terms.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The operator has said something else.
    pub(crate) fn set_terms(&self, terms: Terms) {
        *self.terms.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(terms);
    }

    /// Whether the generation claims this capability, and may.
    pub(crate) fn serves(&self, capability: &str) -> bool {
        self.terms().grant.capabilities.iter().any(|claimed| claimed == capability)
    }

    /// What it claims, under the name of its file.
    pub(crate) fn claim(&self, name: &str) -> Claim {
        claim_under(&self.terms(), name)
    }
}

/// What a runner of this name claims under these terms.
pub(crate) fn claim_under(terms: &Terms, name: &str) -> Claim {
    let capabilities = terms.grant.capabilities.clone();
    Claim { name: name.to_owned(), priority: terms.priority, capabilities }
}

/// Refuses a runner whose tasks would all fail before their first instruction.
fn check_start(path: &Path, footprint: &Footprint, memory_bytes: u64) -> Result<(), LoadError> {
    let needed = counted_instance_bytes(footprint.host_bytes).saturating_add(footprint.memory_bytes);
    if needed <= memory_bytes {
        return Ok(());
    }
    Err(LoadError::StartMemory { path: path.to_owned(), needed, limit: memory_bytes })
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label())
    }
}

#[async_trait]
impl Runner for Generation {
    fn label(&self) -> String {
        // The version is checked; the name is that of a file, which may have been made anywhere.
        format!("{} {} #{}", one_line(&self.name, MAX_NAME), self.description.version, self.number)
    }

    fn digest(&self) -> Option<String> {
        Some(self.digest.clone())
    }

    fn needs(&self) -> RunnerNeeds {
        let terms = self.terms();
        let limits = &terms.grant.limits;
        RunnerNeeds {
            memory_bytes: limits.memory_bytes,
            scratch_bytes: limits.scratch_bytes,
            scratch_files: limits.scratch_files,
        }
    }

    async fn run(&self, call: RunnerCall) -> Result<(), RunFailure> {
        // Kept to the end of the run, whatever the operator says meanwhile.
        let terms = self.terms();
        let folders = open_directories(&self.private, &terms.grant.directories).await?;
        let call = guarded(call, &terms.grant);
        self.guests.run(&self.label(), &terms.grant, &terms.environment, folders, call).await
    }
}
