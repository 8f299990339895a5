//! One generation of a runner: code, limits and grants that a task keeps from its start to its end.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::runner::{Runner, RunnerCall, RunnerNeeds};
use posemesh_text::one_line;

use crate::folders::PrivateFolders;
use crate::load::error::LoadError;
use crate::load::loader::{LoadedComponent, Loader};
use crate::load::stage::{LoadStage, Reached};
use crate::manifest::breaker::BreakerPolicy;
use crate::manifest::description::Description;
use crate::manifest::limits::Limits;
use crate::manifest::policy::{Grant, Policy};
use crate::ports::guarded;
use crate::registry::claims::Claim;
use crate::registry::counters::RunCounters;
use crate::registry::granted_folders::{check_directories, open_directories};
use crate::registry::guests::Guests;

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
    /// What the runner may do and use.
    pub grant: Arc<Grant>,
    /// SHA-256 of the file, in hex.
    pub digest: String,
    /// Size of the file, in bytes.
    pub bytes: u64,
    /// Whether its code came from the cache.
    pub cached: bool,
    /// `priority` of its policy: who serves a capability that several claim.
    pub priority: i32,
    /// `[breaker]` of its policy.
    pub(crate) breaker: BreakerPolicy,
    pub(crate) counters: RunCounters,
    guests: Guests,
    environment: Vec<(String, String)>,
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
        // `describe` reaches none of them; they are opened now so that the process need not be started again for a task.
        let folders = check_directories(loader, path, policy).await?;
        let LoadedComponent { code, digest, bytes, cached } = loader.load(path, reached).await?;
        let time = loader.describe_time();
        let limits = Limits::probe(&policy.limits, loader.maximum(), loader.defaults(), time);
        let (guests, raw) = Guests::load(loader, path, code, &limits, folders, reached).await?;
        let description =
            Description::check(raw).map_err(|what| LoadError::Description { path: path.to_owned(), what })?;
        // Only now: what is granted depends on what the runner asked for in its description.
        let grant = policy.grant(&description, loader.maximum(), loader.defaults());
        // Read once, so that all tasks of a generation see the same values. An unset variable is left out.
        let environment =
            grant.environment.iter().filter_map(|name| Some((name.clone(), environment(name)?))).collect();
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        // After the checks of the description: a runner whose description is refused has not passed the probe.
        reached(LoadStage::Probed);
        Ok(Self {
            name,
            number,
            path: path.to_owned(),
            description,
            grant: Arc::new(grant),
            digest,
            bytes,
            cached,
            priority: policy.priority,
            breaker: policy.breaker.clone(),
            counters: RunCounters::default(),
            guests,
            environment,
            private: loader.private().clone(),
        })
    }

    /// Whether the generation claims this capability.
    pub(crate) fn serves(&self, capability: &str) -> bool {
        self.description.capabilities.iter().any(|claimed| claimed == capability)
    }

    /// What it claims, under the name of its file.
    pub(crate) fn claim(&self, name: &str) -> Claim {
        let capabilities = self.description.capabilities.clone();
        Claim { name: name.to_owned(), priority: self.priority, capabilities }
    }
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

    fn needs(&self) -> RunnerNeeds {
        let limits = &self.grant.limits;
        RunnerNeeds {
            memory_bytes: limits.memory_bytes,
            scratch_bytes: limits.scratch_bytes,
            scratch_files: limits.scratch_files,
        }
    }

    async fn run(&self, call: RunnerCall) -> Result<(), RunFailure> {
        let folders = open_directories(&self.private, &self.grant.directories).await?;
        let call = guarded(call, &self.grant);
        self.guests.run(&self.label(), &self.grant, &self.environment, folders, call).await
    }
}
