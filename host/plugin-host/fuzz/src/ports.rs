//! Ports that have and take nothing, for a run whose end is all that matters; and ports that have and take a little.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::ports::{
    Artifact, ArtifactSpec, ArtifactWriter, InputPort, OutputPort, PartInfo, PartStream, PortError,
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

/// One part of ten bytes, whatever the CID.
pub(crate) struct Inputs;

struct Part {
    left: Option<Bytes>,
}

#[async_trait]
impl InputPort for Inputs {
    async fn open(&self, _: &str) -> Result<Box<dyn PartStream>, PortError> {
        Ok(Box::new(Part { left: None }))
    }
}

#[async_trait]
impl PartStream for Part {
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError> {
        if self.left.is_some() {
            return Ok(None);
        }
        self.left = Some(Bytes::from_static(b"0123456789"));
        let text = || "part".to_owned();
        let (created_at, updated_at) = (None, None);
        let (data_id, name, data_type, domain_id) = (text(), text(), text(), text());
        Ok(Some(PartInfo { data_id, name, data_type, size: 10, domain_id, created_at, updated_at }))
    }

    async fn read(&mut self, max_bytes: usize) -> Result<Bytes, PortError> {
        let Some(left) = &mut self.left else { return Ok(Bytes::new()) };
        Ok(left.split_to(max_bytes.min(left.len())))
    }
}

/// Takes everything and keeps nothing.
#[derive(Default)]
pub(crate) struct Artifacts;

struct Writer;

#[async_trait]
impl OutputPort for Artifacts {
    async fn create(&self, _: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        Ok(Box::new(Writer))
    }

    fn finished(&self) -> Vec<Artifact> {
        Vec::new()
    }
}

#[async_trait]
impl ArtifactWriter for Writer {
    async fn write(&mut self, _: Bytes) -> Result<(), PortError> {
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Artifact, PortError> {
        let text = || "artifact".to_owned();
        let (logical_path, name, data_type, sha256) = (text(), text(), text(), text());
        Ok(Artifact { logical_path, name, data_type, id: None, size: 0, sha256 })
    }
}
