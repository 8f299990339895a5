//! The host's side of the WIT interface `outputs`.

use wasmtime::component::Resource;

use crate::instance::bindings::posemesh::runner::outputs::{
    ArtifactOptions, Host, HostArtifact, StoredArtifact,
};
use crate::instance::bindings::posemesh::runner::types;
use crate::instance::outputs::OutputsView;
use crate::instance::port_failure::PortFailure;
use crate::instance::resources::ArtifactHandle;
use crate::instance::wit;

impl types::Host for OutputsView<'_> {
    fn convert_error(&mut self, failure: PortFailure) -> wasmtime::Result<types::Error> {
        if let PortFailure::Returned(error) = &failure {
            self.context.trouble().saw_port(error);
        }
        wit::port_error(failure)
    }
}

impl Host for OutputsView<'_> {
    async fn create(
        &mut self,
        path: String,
        options: ArtifactOptions,
    ) -> Result<Resource<ArtifactHandle>, PortFailure> {
        let artifact = self.context.create(wit::artifact_spec(path, options)).await?;
        Ok(self.table.push(ArtifactHandle(artifact))?)
    }

    async fn put_bytes(
        &mut self,
        path: String,
        bytes: Vec<u8>,
        options: ArtifactOptions,
    ) -> Result<StoredArtifact, PortFailure> {
        let artifact = self.context.put_bytes(wit::artifact_spec(path, options), bytes.into()).await?;
        Ok(wit::stored_artifact(artifact))
    }

    async fn put_file(
        &mut self,
        path: String,
        file: String,
        options: ArtifactOptions,
    ) -> Result<StoredArtifact, PortFailure> {
        let artifact = self.context.put_file(wit::artifact_spec(path, options), &file).await?;
        Ok(wit::stored_artifact(artifact))
    }
}

impl HostArtifact for OutputsView<'_> {
    async fn write(&mut self, artifact: Resource<ArtifactHandle>, bytes: Vec<u8>) -> Result<(), PortFailure> {
        self.table.get_mut(&artifact)?.0.write(bytes.into(), self.context.budget_mut()).await
    }

    async fn finish(&mut self, artifact: Resource<ArtifactHandle>) -> Result<StoredArtifact, PortFailure> {
        Ok(wit::stored_artifact(self.table.get_mut(&artifact)?.0.finish().await?))
    }

    async fn drop(&mut self, artifact: Resource<ArtifactHandle>) -> wasmtime::Result<()> {
        self.table.delete(artifact)?;
        Ok(())
    }
}
