//! The outputs of one task: artifacts, and the one place where they are counted.

pub(crate) mod artifact;
pub(crate) mod budget;
pub(crate) mod sandbox_file;

use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use posemesh_runner_api::ports::{Artifact, ArtifactSpec, DEFAULT_CHUNK, OutputPort, PortError};
use wasmtime::component::ResourceTable;

use crate::instance::outputs::artifact::{OpenArtifact, check_chunk, check_spec};
use crate::instance::outputs::budget::OutputBudget;
use crate::instance::port_failure::PortFailure;
use crate::instance::runner_log::RunnerLog;
use crate::instance::scratch::Scratch;
use crate::instance::trouble::RunTrouble;
use crate::manifest::limits::Limits;

/// Where a task's artifacts go, and what is left for them.
pub(crate) struct OutputsContext {
    port: Arc<dyn OutputPort>,
    scratch: Arc<Scratch>,
    budget: OutputBudget,
    log: RunnerLog,
}

/// What the host functions of `outputs` borrow of an instance.
pub(crate) struct OutputsView<'a> {
    pub(crate) context: &'a mut OutputsContext,
    pub(crate) table: &'a mut ResourceTable,
}

impl OutputsContext {
    pub(crate) fn new(
        port: Arc<dyn OutputPort>,
        scratch: Arc<Scratch>,
        limits: &Limits,
        log: RunnerLog,
    ) -> Self {
        Self { port, scratch, budget: OutputBudget::new(limits), log }
    }

    /// Where errors that the guest gets are noted.
    pub(crate) fn trouble(&self) -> &RunTrouble {
        self.scratch.trouble()
    }

    /// What the task's artifacts have used and may still use.
    pub(crate) fn budget(&self) -> &OutputBudget {
        &self.budget
    }

    /// The same, to be spent by an artifact that is being written.
    pub(crate) fn budget_mut(&mut self) -> &mut OutputBudget {
        &mut self.budget
    }

    /// Starts an artifact. One whose announced size does not fit is refused before the first byte is sent.
    pub(crate) async fn create(&mut self, spec: ArtifactSpec) -> Result<OpenArtifact, PortFailure> {
        // Before the budget: what is refused must not use up one of the artifacts.
        check_spec(&spec)?;
        self.budget.start_artifact(spec.size_hint)?;
        let path = spec.path.clone();
        Ok(OpenArtifact::new(path, self.port.create(spec).await?, self.log.clone()))
    }

    /// Stores bytes that the guest has at hand as one artifact.
    pub(crate) async fn put_bytes(
        &mut self,
        mut spec: ArtifactSpec,
        bytes: Bytes,
    ) -> Result<Artifact, PortFailure> {
        check_chunk(&spec.path, bytes.len())?;
        // The real size replaces whatever the guest announced.
        spec.size_hint = Some(bytes.len() as u64);
        let mut artifact = self.create(spec).await?;
        artifact.write(bytes, &mut self.budget).await?;
        Ok(artifact.finish().await?)
    }

    /// Stores a file of the sandbox as one artifact.
    pub(crate) async fn put_file(
        &mut self,
        mut spec: ArtifactSpec,
        file: &str,
    ) -> Result<Artifact, PortFailure> {
        let failed =
            |error: std::io::Error| PortError::host(format!("reading {file:?} of the sandbox: {error}"));
        // Opened before the artifact is started, so that a missing file uses up none.
        let mut source = sandbox_file::open(self.scratch.dirs()?, file)?;
        spec.size_hint = Some(source.metadata().map_err(failed)?.len());
        let mut artifact = self.create(spec).await?;
        loop {
            let mut chunk = Vec::with_capacity(DEFAULT_CHUNK);
            // The runner's own thread does this: blocking it blocks nobody else.
            (&mut source).take(DEFAULT_CHUNK as u64).read_to_end(&mut chunk).map_err(failed)?;
            if chunk.is_empty() {
                return Ok(artifact.finish().await?);
            }
            artifact.write(chunk.into(), &mut self.budget).await?;
        }
    }
}

#[cfg(test)]
mod tests;
