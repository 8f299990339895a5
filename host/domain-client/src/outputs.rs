//! The output port of a task: artifacts in the lease's domain.

mod artifact;

use std::sync::Arc;

use async_trait::async_trait;
use posemesh_runner_api::ports::{Artifact, ArtifactSpec, ArtifactWriter, OutputPort, PortError};
use posemesh_runner_api::replace::Replaceable;
use tokio_util::sync::CancellationToken;

use crate::outputs::artifact::DomainArtifact;
use crate::upload::context::UploadContext;

/// Stores artifacts in the lease's domain. How many and how large they may be is the runner host's budget; here only
/// those that are open at a time are limited, since each holds files and memory.
pub(crate) struct DomainOutputs {
    context: Arc<UploadContext>,
    stop: CancellationToken,
}

impl DomainOutputs {
    pub(crate) fn new(context: UploadContext, stop: CancellationToken) -> Self {
        Self { context: Arc::new(context), stop }
    }
}

#[async_trait]
impl OutputPort for DomainOutputs {
    async fn create(&self, spec: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        self.create_within(spec, Replaceable::anything()).await
    }

    async fn create_within(
        &self,
        spec: ArtifactSpec,
        replaceable: Replaceable,
    ) -> Result<Box<dyn ArtifactWriter>, PortError> {
        self.context.client.server().check().map_err(|error| self.context.client.port_error(error))?;
        let slot = self.context.budget.open_artifact()?;
        let target = self.context.index.add(&spec, replaceable)?;
        Ok(Box::new(DomainArtifact::new(Arc::clone(&self.context), target, slot, self.stop.clone())))
    }

    fn finished(&self) -> Vec<Artifact> {
        self.context.index.finished()
    }

    async fn wait_for_aborts(&self) {
        self.context.aborts.wait().await;
    }

    fn unanswered(&self) -> Option<PortError> {
        self.context.client.unanswered()
    }
}
