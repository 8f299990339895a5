//! Ports without a domain server.

use std::sync::Arc;

use async_trait::async_trait;
use posemesh_domain_client::DomainPorts;
use posemesh_domain_client::TaskToken;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::ports::{
    Artifact, ArtifactSpec, ArtifactWriter, InputPort, OutputPort, PartStream, PortError,
};
use tokio_util::sync::CancellationToken;

use crate::dms::Lease;
use crate::lease::OpenPorts;

/// Ports with no inputs and one artifact that was stored already. They open if the lease says where its
/// domain is.
pub(crate) struct FakePorts;

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

impl OpenPorts for FakePorts {
    fn open(
        &self,
        lease: &Lease,
        _: Arc<TaskToken>,
        _: CancellationToken,
        _: TaskDisk,
    ) -> Result<DomainPorts, &'static str> {
        lease.domain_server_url.get()?;
        Ok(DomainPorts { inputs: Arc::new(Self), outputs: Arc::new(Self), traffic: Arc::default() })
    }
}
