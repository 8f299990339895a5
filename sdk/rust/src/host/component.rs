//! The ports of the node, as the contract has them.

use crate::artifact::{ArtifactOptions, Stored};
use crate::component::bindings::posemesh::runner::{control, inputs, outputs};
use crate::error::{Error, Result};
use crate::input::PartInfo;
use crate::task::{Budget, LogLevel};

/// The node that runs this component.
#[derive(Debug)]
pub(crate) struct Host;

/// An opened CID.
#[derive(Debug)]
pub(crate) struct HostInput(inputs::Input);

/// A part.
#[derive(Debug)]
pub(crate) struct HostPart(inputs::Part);

/// An artifact that is being written.
#[derive(Debug)]
pub(crate) struct HostArtifact(outputs::Artifact);

impl Host {
    pub(crate) fn open(&self, cid: &str) -> Result<HostInput> {
        Ok(HostInput(inputs::open(cid)?))
    }

    pub(crate) fn create(&self, path: &str, options: &ArtifactOptions) -> Result<HostArtifact> {
        Ok(HostArtifact(outputs::create(path, &wit_options(options))?))
    }

    pub(crate) fn put_file(&self, path: &str, file: &str, options: &ArtifactOptions) -> Result<Stored> {
        Ok(stored(outputs::put_file(path, file, &wit_options(options))?))
    }

    /// What is not taken is no reason to fail.
    pub(crate) fn progress(&self, json: &str) {
        let _ = control::progress(json);
    }

    pub(crate) fn log_event(&self, json: &str) -> Result<(), String> {
        control::log_event(json).map_err(|error| match error {
            control::ReportError::InvalidJson(what) => format!("the event is no JSON: {what}"),
            control::ReportError::TooLarge(limit) => format!("the event has more than {limit} bytes"),
            control::ReportError::Dropped => "too many events came too fast".to_owned(),
        })
    }

    pub(crate) fn log(&self, level: LogLevel, message: &str) {
        let level = match level {
            LogLevel::Debug => control::LogLevel::Debug,
            LogLevel::Info => control::LogLevel::Info,
            LogLevel::Warn => control::LogLevel::Warn,
            LogLevel::Error => control::LogLevel::Error,
        };
        control::log(level, message);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        control::is_cancelled()
    }

    pub(crate) fn wait_cancelled(&self, timeout_ms: u64) -> bool {
        control::wait_cancelled(timeout_ms)
    }

    pub(crate) fn budget(&self) -> Budget {
        let control::Budget { memory_bytes, scratch_bytes, output_bytes_left, time_left_ms } =
            control::get_budget();
        Budget { memory_bytes, scratch_bytes, output_bytes_left, time_left_ms }
    }
}

impl HostInput {
    pub(crate) fn next_part(&mut self) -> Result<Option<HostPart>> {
        Ok(self.0.next_part()?.map(HostPart))
    }
}

impl HostPart {
    pub(crate) fn info(&self) -> PartInfo {
        let inputs::PartInfo { data_id, name, data_type, size, domain_id, created_at, updated_at } =
            self.0.info();
        PartInfo { data_id, name, data_type, size, domain_id, created_at, updated_at }
    }

    pub(crate) fn read(&self, max_bytes: u32) -> Result<Vec<u8>> {
        self.0.read(max_bytes).map_err(Error::from)
    }

    pub(crate) fn read_at(&self, offset: u64, max_bytes: u32) -> Result<Vec<u8>> {
        self.0.read_at(offset, max_bytes).map_err(Error::from)
    }

    pub(crate) fn materialise(&self) -> Result<String> {
        self.0.materialise().map_err(Error::from)
    }
}

impl HostArtifact {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write(bytes).map_err(Error::from)
    }

    pub(crate) fn finish(self) -> Result<Stored> {
        Ok(stored(self.0.finish()?))
    }
}

fn wit_options(options: &ArtifactOptions) -> outputs::ArtifactOptions {
    let ArtifactOptions { name, data_type, existing_id, size_hint } = options.clone();
    outputs::ArtifactOptions { name, data_type, existing_id, size_hint }
}

fn stored(stored: outputs::StoredArtifact) -> Stored {
    let outputs::StoredArtifact { logical_path, name, data_type, id, size } = stored;
    Stored { logical_path, name, data_type, id, size }
}
