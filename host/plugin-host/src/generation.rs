//! One generation of a runner: code, limits and grants that a task keeps from its start to its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use wasmtime_wasi::WasiCtxBuilder;

use super::bindings::posemesh::runner::types;
use super::bindings::{Runner as RunnerWorld, RunnerPre};
use super::component::{self, Linked, Loader};
use super::description::Description;
use super::failure::{Circumstances, limit_of, root};
use super::guest::{self, GuestEnd};
use super::limits::{LimitReached, Limits};
use super::load_error::LoadError;
use super::log_file::LogFile;
use super::outbound::Outbound;
use super::policy::{Grant, Policy};
use super::prepare::{make_dirs, new_state, wasi_of_run};
use super::registry::Claim;
use super::runner_log::RunnerLog;
use super::stage::{Reached, Stage};
use super::state::RunState;
use super::tally::Tally;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::failure::{FailureKind, RunFailure};
use posemesh_runner_api::ports::{
    Artifact, ArtifactSpec, ArtifactWriter, InputPort, OutputPort, PartStream, PortError,
};
use posemesh_runner_api::reports::{ReportLimits, Reports};
use posemesh_runner_api::runner::{Runner, RunnerCall};
use posemesh_runner_api::task::Task;

/// A runner that has passed every stage.
pub struct Generation {
    /// The file's stem: the name that the operator knows.
    pub name: String,
    /// Counts the loads of this node.
    pub number: u64,
    /// Its file.
    pub path: PathBuf,
    /// What it says of itself.
    pub description: Description,
    /// What it may do.
    pub grant: Grant,
    /// SHA-256 of the file, in hex.
    pub digest: String,
    /// Size of the file.
    pub bytes: u64,
    /// Whether its code came from the cache.
    pub cached: bool,
    /// `priority` of its policy: who serves a capability that several claim.
    pub priority: i32,
    /// Its tasks.
    pub tally: Tally,
    pre: RunnerPre<RunState>,
    environment: Vec<(String, String)>,
}

impl Generation {
    /// Takes a file through every stage: read, verified, compiled, linked, probed, granted.
    ///
    /// `environment` looks up the node's value of a granted variable; `reached` is told of each stage.
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
        let Linked { pre, digest, bytes, cached } = loader.load(path, reached).await?;
        let pre = RunnerPre::new(pre)
            .map_err(|error| LoadError::World { path: path.to_owned(), what: component::one_line(&error) })?;
        let description = describe(&pre, path).await?;
        let grant = policy.grant(&description, loader.maximum());
        let environment =
            grant.environment.iter().filter_map(|name| Some((name.clone(), environment(name)?))).collect();
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        reached(Stage::Probed);
        Ok(Self {
            name,
            number,
            path: path.to_owned(),
            description,
            grant,
            digest,
            bytes,
            cached,
            priority: policy.priority,
            tally: Tally::default(),
            pre,
            environment,
        })
    }

    /// Whether it claims a capability.
    pub fn serves(&self, capability: &str) -> bool {
        self.description.capabilities.iter().any(|claimed| claimed == capability)
    }

    /// What it claims, under the name of its file.
    pub(super) fn claim(&self, name: &str) -> Claim {
        let capabilities = self.description.capabilities.clone();
        Claim { name: name.to_owned(), priority: self.priority, capabilities }
    }
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.label())
    }
}

#[async_trait]
impl Runner for Generation {
    fn label(&self) -> String {
        format!("{} {} #{}", self.name, self.description.version, self.number)
    }

    async fn run(&self, call: RunnerCall) -> Result<(), RunFailure> {
        let limits = self.grant.limits.clone();
        let label = self.label();
        let span = tracing::info_span!("runner", runner = %label, task_id = %call.task.id);
        let log = RunnerLog::new(limits.log_bytes, span);
        if let Some(path) = call.log_file.clone() {
            let created = tokio::task::spawn_blocking(move || LogFile::create(&path)).await;
            match created.map_err(std::io::Error::other).and_then(|file| file) {
                Ok(file) => log.keep_in(file),
                Err(error) => tracing::warn!(%error, "what the runner prints can't be kept in a file"),
            }
        }
        let host_failure =
            |reason: String| RunFailure { kind: FailureKind::Host, reason, details: Value::Null };

        let dirs = make_dirs(call.disk.path().to_owned()).await.map_err(|error| {
            host_failure(format!("making the sandbox directory in {}: {error}", call.disk.path().display()))
        })?;
        let (stdout, stderr) = (log.stream("stdout"), log.stream("stderr"));
        let wasi =
            wasi_of_run(&dirs, &self.grant, &self.environment, [&stdout, &stderr]).map_err(host_failure)?;
        let task = wit_task(&call.task);
        let outbound = Outbound::new(&self.grant, log.clone());
        let state = new_state(wasi, &limits, outbound, call, Some(dirs), log.clone());
        let called = guest::call(self.pre.clone(), state, async move |runner: &RunnerWorld, store| {
            runner.posemesh_runner_entry().call_run(store, &task).await
        })
        .await;
        stdout.finish();
        stderr.finish();
        log.close();
        let usage = called.usage;
        let circumstances = Circumstances { runner: &label, limits: &limits, usage: &usage, log: &log };
        match called.result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(circumstances.returned(error)),
            Err(end) => Err(circumstances.ended(end)),
        }
    }
}

/// Calls `describe` under tight limits and checks the answer.
async fn describe(pre: &RunnerPre<RunState>, path: &Path) -> Result<Description, LoadError> {
    let limits = Limits::probe();
    let log = RunnerLog::new(limits.log_bytes, tracing::debug_span!("describe", path = %path.display()));
    let stderr = log.stream("stderr");
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(stderr.clone()).stderr(stderr.clone());
    let call = RunnerCall {
        task: Task::new(uuid::Uuid::nil(), ""),
        inputs: Arc::new(NoPorts),
        outputs: Arc::new(NoPorts),
        reports: Reports::new(ReportLimits::default()),
        disk: TaskDisk::new(""),
        log_file: None,
    };
    let outbound = Outbound::closed(&limits, log.clone());
    let state = new_state(wasi.build(), &limits, outbound, call, None, log.clone());
    let called = guest::call(pre.clone(), state, async |runner: &RunnerWorld, store| {
        runner.posemesh_runner_entry().call_describe(store).await
    })
    .await;
    stderr.finish();
    let mut cause = match called.result {
        Ok(raw) => {
            return Description::check(raw)
                .map_err(|what| LoadError::Description { path: path.to_owned(), what });
        }
        Err(GuestEnd::Deadline) => format!("it took more than {} ms", limits.deadline_ms),
        Err(GuestEnd::Error(error)) => match limit_of(&error, called.usage.refused.as_ref(), &limits) {
            Some(LimitReached { name, value }) => {
                format!("it reached {name} of {value}, which is fixed for `describe`")
            }
            None => match error.downcast_ref() {
                Some(wasmtime_wasi::I32Exit(code)) => format!("it called exit({code})"),
                None => root(&error),
            },
        },
        Err(end) => format!("{end:?}"),
    };
    if let Some(last) = log.tail().0.last() {
        cause.push_str(&format!("; its last words: {last}"));
    }
    Err(LoadError::Describe { path: path.to_owned(), cause })
}

fn wit_task(task: &Task) -> types::Task {
    types::Task {
        id: task.id.to_string(),
        job_id: task.job_id.map(|id| id.to_string()),
        domain_id: task.domain_id.map(|id| id.to_string()),
        capability: task.capability.clone(),
        capability_filters: task.capability_filters.to_string(),
        inputs_cids: task.inputs_cids.clone(),
        outputs_prefix: task.outputs_prefix.clone(),
        label: task.label.clone(),
        stage: task.stage.clone(),
        meta: task.meta.to_string(),
        attempts: task.attempts,
        max_attempts: task.max_attempts,
    }
}

/// The ports of `describe`: there is nothing to read and nowhere to write.
struct NoPorts;

#[async_trait]
impl InputPort for NoPorts {
    async fn open(&self, _: &str) -> Result<Box<dyn PartStream>, PortError> {
        Err(PortError::cancelled())
    }
}

#[async_trait]
impl OutputPort for NoPorts {
    async fn create(&self, _: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        Err(PortError::cancelled())
    }

    fn finished(&self) -> Vec<Artifact> {
        Vec::new()
    }
}
