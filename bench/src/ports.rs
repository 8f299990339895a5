//! Ports in memory: what a runner reads and writes costs nothing else.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::ports::{
    Artifact, ArtifactSpec, ArtifactWriter, InputPort, OutputPort, PartInfo, PartStream, PortError,
};
use posemesh_runner_api::reports::{ReportLimits, Reports};
use posemesh_runner_api::runner::RunnerCall;
use posemesh_runner_api::task::Task;
use posemesh_runner_cases::files::{FileInputs, FileOutputs};
use uuid::Uuid;

/// Bytes that come and go at a time, as from a server.
const PIECE: usize = 64 << 10;

/// A call with a task without inputs that asks for a sleep.
pub(crate) fn call(capability: &str, sleep_ms: u64, work_dir: &Path) -> RunnerCall {
    let mut task = Task::new(Uuid::new_v4(), capability);
    task.meta = serde_json::json!({ "sleep_ms": sleep_ms }).into();
    let id = task.id.to_string();
    RunnerCall {
        task,
        inputs: Arc::new(FileInputs::new(Default::default())),
        outputs: Arc::new(FileOutputs::new(work_dir.to_owned(), None, id)),
        reports: Reports::new(ReportLimits::default()),
        disk: TaskDisk::new(work_dir),
        log_file: None,
    }
}

/// A call with a task of one input, whose artifacts are forgotten.
pub(crate) fn call_with(capability: &str, input: Source, work_dir: &Path) -> RunnerCall {
    let mut call = call(capability, 0, work_dir);
    call.task.meta = serde_json::json!({}).into();
    call.task.inputs_cids = vec!["input".to_owned()];
    RunnerCall { inputs: Arc::new(input), outputs: Arc::new(Sink), ..call }
}

/// An input of one part.
#[derive(Clone)]
pub(crate) struct Source {
    name: &'static str,
    data_type: &'static str,
    content: Content,
}

#[derive(Clone)]
enum Content {
    /// The same piece, so often that it is so many bytes.
    Same(u64, Bytes),
    These(Bytes),
}

impl Source {
    /// So many bytes, which nobody has to make.
    pub(crate) fn of_size(bytes: u64) -> Self {
        Self { name: "input", data_type: "bin", content: Content::Same(bytes, vec![7; PIECE].into()) }
    }

    /// These bytes, as a scan.
    pub(crate) fn scan(bytes: Bytes) -> Self {
        Self { name: "scan.ply", data_type: "ply", content: Content::These(bytes) }
    }

    fn size(&self) -> u64 {
        match &self.content {
            Content::Same(bytes, _) => *bytes,
            Content::These(bytes) => bytes.len() as u64,
        }
    }
}

#[async_trait]
impl InputPort for Source {
    async fn open(&self, _: &str) -> Result<Box<dyn PartStream>, PortError> {
        Ok(Box::new(SourceStream { source: self.clone(), read: None }))
    }
}

struct SourceStream {
    source: Source,
    /// How much was read of the only part; none before it.
    read: Option<u64>,
}

#[async_trait]
impl PartStream for SourceStream {
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError> {
        if self.read.is_some() {
            return Ok(None);
        }
        self.read = Some(0);
        Ok(Some(PartInfo {
            data_id: "1".to_owned(),
            name: self.source.name.to_owned(),
            data_type: self.source.data_type.to_owned(),
            size: self.source.size(),
            domain_id: String::new(),
            created_at: None,
            updated_at: None,
        }))
    }

    async fn read(&mut self, max_bytes: usize) -> Result<Bytes, PortError> {
        let read = self.read.get_or_insert(0);
        let left = usize::try_from(self.source.size() - *read).unwrap_or(usize::MAX);
        let bytes = left.min(max_bytes).min(PIECE);
        let piece = match &self.source.content {
            Content::Same(_, piece) => piece.slice(..bytes),
            Content::These(all) => {
                let from = usize::try_from(*read).unwrap_or(usize::MAX);
                all.slice(from..from + bytes)
            }
        };
        *read += bytes as u64;
        Ok(piece)
    }
}

struct Sink;

struct SinkWriter(u64);

#[async_trait]
impl OutputPort for Sink {
    async fn create(&self, _: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        Ok(Box::new(SinkWriter(0)))
    }

    fn finished(&self) -> Vec<Artifact> {
        Vec::new()
    }
}

#[async_trait]
impl ArtifactWriter for SinkWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), PortError> {
        self.0 += bytes.len() as u64;
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Artifact, PortError> {
        Ok(Artifact {
            logical_path: "out".to_owned(),
            name: "out".to_owned(),
            data_type: "bin".to_owned(),
            id: None,
            size: self.0,
            sha256: String::new(),
        })
    }
}
