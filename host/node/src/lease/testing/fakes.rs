//! Runners that are closures, and ports without data.

use std::collections::BTreeSet;
use std::future::Future;

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::CAPABILITY;
use crate::lease::{Lease, Storages, TaskPorts};
use posemesh_domain_client::token::TaskToken;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::ports::{
    Artifact, ArtifactSpec, ArtifactWriter, InputPort, OutputPort, PartStream, PortError,
};
use posemesh_runner_api::runner::{Runner, RunnerCall, Runners};
use tokio_util::sync::CancellationToken;

type Run = Pin<Box<dyn Future<Output = Result<(), RunFailure>> + Send>>;

/// A runner that is a closure.
pub struct FakeRunner(Box<dyn Fn(RunnerCall) -> Run + Send + Sync>);

#[async_trait]
impl Runner for FakeRunner {
    fn label(&self) -> String {
        "fake 1.0.0 #1".to_owned()
    }

    async fn run(&self, call: RunnerCall) -> Result<(), RunFailure> {
        (self.0)(call).await
    }
}

/// The one runner, for the capabilities that are live.
pub struct FakeRunners {
    runner: Arc<FakeRunner>,
    pub capabilities: watch::Sender<BTreeSet<String>>,
}

impl FakeRunners {
    /// This runner, live for [`CAPABILITY`].
    pub fn new<F>(run: impl Fn(RunnerCall) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), RunFailure>> + Send + 'static,
    {
        Self {
            runner: Arc::new(FakeRunner(Box::new(move |call| Box::pin(run(call))))),
            capabilities: watch::Sender::new(BTreeSet::from([CAPABILITY.to_owned()])),
        }
    }
}

impl Runners for FakeRunners {
    fn capabilities(&self) -> watch::Receiver<BTreeSet<String>> {
        self.capabilities.subscribe()
    }

    fn pick(&self, capability: &str) -> Option<Arc<dyn Runner>> {
        let live = self.capabilities.borrow().contains(capability);
        live.then(|| self.runner.clone() as Arc<dyn Runner>)
    }
}

/// Ports with no inputs and one artifact that was stored already.
struct FakePorts;

#[async_trait]
impl InputPort for FakePorts {
    async fn open(&self, cid: &str) -> Result<Box<dyn PartStream>, PortError> {
        Err(PortError::not_found(cid.to_owned()))
    }
}

#[async_trait]
impl OutputPort for FakePorts {
    async fn create(&self, _: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        Err(PortError::other("not in this test".to_owned()))
    }

    fn finished(&self) -> Vec<Artifact> {
        vec![Artifact {
            logical_path: "out/a.json".to_owned(),
            name: "a".to_owned(),
            data_type: "json".to_owned(),
            id: Some("id-a".to_owned()),
            size: 2,
            sha256: String::new(),
        }]
    }
}

/// Opens [`FakePorts`] if the lease says where its domain is.
pub struct FakeStorages;

impl Storages for FakeStorages {
    fn open(
        &self,
        lease: &Lease,
        _: Arc<TaskToken>,
        _: CancellationToken,
        _: TaskDisk,
    ) -> Result<TaskPorts, String> {
        lease.domain_server_url.get()?;
        Ok(TaskPorts { inputs: Arc::new(FakePorts), outputs: Arc::new(FakePorts), traffic: Arc::default() })
    }
}
