//! The output port of a runner: it replaces only what the operator lets it replace.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use posemesh_runner_api::ports::{Artifact, ArtifactSpec, ArtifactWriter, OutputPort, PortError};
use posemesh_runner_api::replace::Replaceable;
use posemesh_text::one_line;

use crate::manifest::data_scope::DataScope;
use crate::ports::named::NamedData;

/// How much of an id an error shows, in bytes.
const MAX_SHOWN: usize = 80;

/// Outputs that replace only as much as the operator allows.
pub(super) struct GuardedOutputs {
    inner: Arc<dyn OutputPort>,
    named: Arc<NamedData>,
    scope: DataScope,
}

impl GuardedOutputs {
    pub(super) fn new(inner: Arc<dyn OutputPort>, named: Arc<NamedData>, scope: DataScope) -> Self {
        Self { inner, named, scope }
    }

    /// What an artifact may replace. A name, too, can be that of any data of the domain.
    fn replaceable(&self) -> Replaceable {
        match self.scope {
            DataScope::Domain => Replaceable::anything(),
            DataScope::Task => {
                let named = self.named.clone();
                Replaceable::only(move |id| named.has(id))
            }
        }
    }
}

#[async_trait]
impl OutputPort for GuardedOutputs {
    async fn create(&self, spec: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        self.create_within(spec, Replaceable::anything()).await
    }

    async fn create_within(
        &self,
        spec: ArtifactSpec,
        also: Replaceable,
    ) -> Result<Box<dyn ArtifactWriter>, PortError> {
        let ours = self.replaceable();
        if let Some(id) = spec.existing_id.as_deref().filter(|id| !ours.allows(id)) {
            return Err(PortError::denied(format!(
                "the task does not name the data {}, so no artifact of it may replace that; the operator allows any \
                 data of its domain by replace = \"domain\" in NAME.toml",
                one_line(id, MAX_SHOWN)
            )));
        }
        let both = match (ours.is_anything(), also.is_anything()) {
            (_, true) => ours,
            (true, false) => also,
            (false, false) => Replaceable::only(move |id| ours.allows(id) && also.allows(id)),
        };
        let inner = self.inner.create_within(spec, both).await?;
        Ok(Box::new(GuardedArtifact { inner, named: self.named.clone() }))
    }

    fn finished(&self) -> Vec<Artifact> {
        self.inner.finished()
    }

    async fn wait_for_aborts(&self) {
        self.inner.wait_for_aborts().await;
    }

    fn unanswered(&self) -> Option<PortError> {
        self.inner.unanswered()
    }
}

/// An artifact whose id becomes one of the task's own when it is stored.
struct GuardedArtifact {
    inner: Box<dyn ArtifactWriter>,
    named: Arc<NamedData>,
}

#[async_trait]
impl ArtifactWriter for GuardedArtifact {
    async fn write(&mut self, bytes: Bytes) -> Result<(), PortError> {
        self.inner.write(bytes).await
    }

    async fn write_slice(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        self.inner.write_slice(bytes).await
    }

    async fn finish(self: Box<Self>) -> Result<Artifact, PortError> {
        let Self { inner, named } = *self;
        let artifact = inner.finish().await?;
        if let Some(id) = &artifact.id {
            named.meet(id);
        }
        Ok(artifact)
    }
}
