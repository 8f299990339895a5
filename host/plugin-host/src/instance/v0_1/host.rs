//! What components of 0.1.0 import: each call is one of the newest version.

use wasmtime::component::{Linker, Resource};

use super::bindings::posemesh::runner::{
    control as old_control, inputs as old_inputs, outputs as old_outputs, types as old_types,
};
use super::convert;
use crate::instance::bindings::posemesh::runner::{control, inputs, outputs, types};
use crate::instance::control::ControlView;
use crate::instance::host::{HasControl, HasInputs, HasOutputs};
use crate::instance::inputs::InputsView;
use crate::instance::outputs::OutputsView;
use crate::instance::port_failure::PortFailure;
use crate::instance::resources::{ArtifactHandle, InputHandle, PartHandle};
use crate::instance::state::RunState;

/// Adds the interfaces of 0.1.0 to a linker.
pub(crate) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    old_types::add_to_linker::<RunState, HasInputs>(linker, RunState::inputs)?;
    old_inputs::add_to_linker::<RunState, HasInputs>(linker, RunState::inputs)?;
    old_outputs::add_to_linker::<RunState, HasOutputs>(linker, RunState::outputs)?;
    old_control::add_to_linker::<RunState, HasControl>(linker, RunState::control)
}

impl old_types::Host for InputsView<'_> {
    fn convert_port_error(&mut self, failure: PortFailure) -> wasmtime::Result<old_types::PortError> {
        types::Host::convert_error(self, failure).map(convert::port_error)
    }
}

impl old_types::Host for OutputsView<'_> {
    fn convert_port_error(&mut self, failure: PortFailure) -> wasmtime::Result<old_types::PortError> {
        types::Host::convert_error(self, failure).map(convert::port_error)
    }
}

impl old_inputs::Host for InputsView<'_> {
    async fn open(&mut self, cid: String) -> Result<Resource<InputHandle>, PortFailure> {
        inputs::Host::open(self, cid).await
    }

    async fn read_all(&mut self, cid: String, max_bytes: u64) -> Result<Vec<u8>, PortFailure> {
        inputs::Host::read_all(self, cid, max_bytes).await
    }

    async fn materialise_all(&mut self, cid: String) -> Result<Vec<String>, PortFailure> {
        inputs::Host::materialise_all(self, cid).await
    }
}

impl old_inputs::HostInput for InputsView<'_> {
    async fn next_part(
        &mut self,
        input: Resource<InputHandle>,
    ) -> Result<Option<Resource<PartHandle>>, PortFailure> {
        inputs::HostInput::next_part(self, input).await
    }

    async fn drop(&mut self, input: Resource<InputHandle>) -> wasmtime::Result<()> {
        inputs::HostInput::drop(self, input).await
    }
}

impl old_inputs::HostPart for InputsView<'_> {
    async fn info(&mut self, part: Resource<PartHandle>) -> wasmtime::Result<old_inputs::PartInfo> {
        inputs::HostPart::info(self, part).await.map(convert::part_info)
    }

    async fn read(&mut self, part: Resource<PartHandle>, max_bytes: u32) -> Result<Vec<u8>, PortFailure> {
        inputs::HostPart::read(self, part, max_bytes).await
    }

    async fn read_at(
        &mut self,
        part: Resource<PartHandle>,
        offset: u64,
        max_bytes: u32,
    ) -> Result<Vec<u8>, PortFailure> {
        inputs::HostPart::read_at(self, part, offset, max_bytes).await
    }

    async fn materialise(&mut self, part: Resource<PartHandle>) -> Result<String, PortFailure> {
        inputs::HostPart::materialise(self, part).await
    }

    async fn drop(&mut self, part: Resource<PartHandle>) -> wasmtime::Result<()> {
        inputs::HostPart::drop(self, part).await
    }
}

impl old_outputs::Host for OutputsView<'_> {
    async fn create(
        &mut self,
        path: String,
        options: old_outputs::ArtifactOptions,
    ) -> Result<Resource<ArtifactHandle>, PortFailure> {
        outputs::Host::create(self, path, convert::artifact_options(options)).await
    }

    async fn put_bytes(
        &mut self,
        path: String,
        bytes: Vec<u8>,
        options: old_outputs::ArtifactOptions,
    ) -> Result<old_outputs::StoredArtifact, PortFailure> {
        let stored = outputs::Host::put_bytes(self, path, bytes, convert::artifact_options(options)).await;
        stored.map(convert::stored_artifact)
    }

    async fn put_file(
        &mut self,
        path: String,
        file: String,
        options: old_outputs::ArtifactOptions,
    ) -> Result<old_outputs::StoredArtifact, PortFailure> {
        let stored = outputs::Host::put_file(self, path, file, convert::artifact_options(options)).await;
        stored.map(convert::stored_artifact)
    }
}

impl old_outputs::HostArtifact for OutputsView<'_> {
    async fn write(&mut self, artifact: Resource<ArtifactHandle>, bytes: Vec<u8>) -> Result<(), PortFailure> {
        outputs::HostArtifact::write(self, artifact, bytes).await
    }

    async fn finish(
        &mut self,
        artifact: Resource<ArtifactHandle>,
    ) -> Result<old_outputs::StoredArtifact, PortFailure> {
        outputs::HostArtifact::finish(self, artifact).await.map(convert::stored_artifact)
    }

    async fn drop(&mut self, artifact: Resource<ArtifactHandle>) -> wasmtime::Result<()> {
        outputs::HostArtifact::drop(self, artifact).await
    }
}

impl old_control::Host for ControlView<'_> {
    async fn progress(&mut self, json: String) -> wasmtime::Result<Result<(), old_control::ReportError>> {
        let taken = control::Host::progress(self, json).await?;
        Ok(taken.map_err(convert::report_error))
    }

    async fn log_event(&mut self, json: String) -> wasmtime::Result<Result<(), old_control::ReportError>> {
        let taken = control::Host::log_event(self, json).await?;
        Ok(taken.map_err(convert::report_error))
    }

    async fn log(&mut self, level: old_control::LogLevel, message: String) -> wasmtime::Result<()> {
        control::Host::log(self, convert::log_level(level), message).await
    }

    async fn is_cancelled(&mut self) -> wasmtime::Result<bool> {
        control::Host::is_cancelled(self).await
    }

    async fn wait_cancelled(&mut self, timeout_ms: u64) -> wasmtime::Result<bool> {
        control::Host::wait_cancelled(self, timeout_ms).await
    }

    async fn get_budget(&mut self) -> wasmtime::Result<old_control::Budget> {
        control::Host::get_budget(self).await.map(convert::budget)
    }
}
