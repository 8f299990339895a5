//! Ports that have and take nothing, for a run whose end is all that matters.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::ports::{
    Artifact, ArtifactSpec, ArtifactWriter, InputPort, OutputPort, PartStream, PortError,
};
use posemesh_runner_api::reports::{ReportLimits, Reports};
use posemesh_runner_api::runner::RunnerCall;
use posemesh_runner_api::task::Task;
use uuid::Uuid;

struct NoPorts;

#[async_trait]
impl InputPort for NoPorts {
    async fn open(&self, _: &str) -> Result<Box<dyn PartStream>, PortError> {
        Err(PortError::not_found("there are no inputs"))
    }
}

#[async_trait]
impl OutputPort for NoPorts {
    async fn create(&self, _: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        Err(PortError::other("there is no output"))
    }

    fn finished(&self) -> Vec<Artifact> {
        Vec::new()
    }
}

/// A task of this capability without inputs, whose folder is `dir`.
pub(crate) fn call(capability: &str, dir: &Path) -> RunnerCall {
    RunnerCall {
        task: Task::new(Uuid::from_u128(1), capability),
        inputs: Arc::new(NoPorts),
        outputs: Arc::new(NoPorts),
        reports: Reports::new(ReportLimits::default()),
        disk: TaskDisk::new(dir),
        log_file: None,
    }
}
