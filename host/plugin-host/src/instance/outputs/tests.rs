#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use async_trait::async_trait;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::ports::{ArtifactWriter, PortErrorKind};

use super::*;
use crate::instance::runner_log::RunnerLog;
use crate::instance::trouble::RunTrouble;

/// A port that notes what was created and written.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl OutputPort for Recorded {
    async fn create(&self, spec: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        self.0.lock().unwrap().push(format!("create {}", spec.path));
        Ok(Box::new(self.clone()))
    }

    fn finished(&self) -> Vec<Artifact> {
        Vec::new()
    }
}

#[async_trait]
impl ArtifactWriter for Recorded {
    async fn write(&mut self, bytes: Bytes) -> Result<(), PortError> {
        self.0.lock().unwrap().push(format!("write {}", bytes.len()));
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Artifact, PortError> {
        Err(PortError::other("nothing is stored here"))
    }
}

fn outputs(output_bytes: u64) -> (OutputsContext, Recorded) {
    let limits = Limits { output_bytes, ..Limits::default() };
    let log = RunnerLog::new(0, tracing::Span::none());
    let scratch = Scratch::new(TaskDisk::new(""), None, &limits, RunTrouble::default(), log.clone());
    let port = Recorded::default();
    (OutputsContext::new(Arc::new(port.clone()), Arc::new(scratch), &limits, log), port)
}

fn spec(path: &str, size_hint: Option<u64>) -> ArtifactSpec {
    ArtifactSpec { path: path.to_owned(), size_hint, ..ArtifactSpec::default() }
}

fn returned(failure: PortFailure) -> PortError {
    match failure {
        PortFailure::Returned(error) => error,
        PortFailure::Trap(error) => PortError::other(error.to_string()),
    }
}

#[tokio::test]
async fn an_announced_size_beyond_the_budget_never_reaches_the_port() {
    let (mut outputs, port) = outputs(10);
    let error = returned(outputs.create(spec("a", Some(11))).await.err().unwrap());
    assert_eq!(error.kind, PortErrorKind::Limit);
    assert!(error.text.contains("`output_bytes` of 10"), "{error}");
    assert!(port.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_write_that_fails_closes_the_artifact_and_the_budget_is_the_tasks() {
    let (mut outputs, port) = outputs(10);
    let mut a = outputs.create(spec("a", None)).await.unwrap();
    let mut b = outputs.create(spec("b", None)).await.unwrap();
    a.write("123456".into(), outputs.budget_mut()).await.unwrap();
    let error = returned(b.write("12345".into(), outputs.budget_mut()).await.unwrap_err());
    assert_eq!(error.kind, PortErrorKind::Limit, "the two share what is left");
    let error = returned(b.write("1".into(), outputs.budget_mut()).await.unwrap_err());
    assert_eq!(error.kind, PortErrorKind::Invalid, "{error}");
    a.write("1234".into(), outputs.budget_mut()).await.unwrap();
    assert_eq!(*port.0.lock().unwrap(), ["create a", "create b", "write 6", "write 4"]);
}
