//! The types of 0.1.0 and of the newest version, one into the other.

use super::bindings::posemesh::runner::{
    control as old_control, inputs as old_inputs, outputs as old_outputs, types as old,
};
use crate::instance::bindings::posemesh::runner::{control, inputs, outputs, types};

/// An error of a port, for a runner of 0.1.0.
pub(super) fn port_error(error: types::Error) -> old::PortError {
    match error {
        types::Error::NotFound(text) => old::PortError::NotFound(text),
        types::Error::InvalidCall(text) => old::PortError::Invalid(text),
        types::Error::Denied(text) => old::PortError::Denied(text),
        types::Error::Limit(text) => old::PortError::Limit(text),
        types::Error::Corrupt(text) => old::PortError::Corrupt(text),
        types::Error::Unavailable(text) => old::PortError::Unavailable(text),
        types::Error::Cancelled => old::PortError::Cancelled,
        // Those of runners come from no port.
        types::Error::PortFailed(text)
        | types::Error::InvalidTask(text)
        | types::Error::InvalidInput(text)
        | types::Error::Failed(text) => old::PortError::Other(text),
    }
}

/// What `run` of 0.1.0 returned.
pub(super) fn run_error(error: old::RunError) -> types::Error {
    match error {
        old::RunError::InvalidTask(text) => types::Error::InvalidTask(text),
        old::RunError::InvalidInput(text) => types::Error::InvalidInput(text),
        old::RunError::Cancelled => types::Error::Cancelled,
        old::RunError::Failed(text) => types::Error::Failed(text),
        old::RunError::Port(error) => match error {
            old::PortError::NotFound(text) => types::Error::NotFound(text),
            old::PortError::Invalid(text) => types::Error::InvalidCall(text),
            old::PortError::Denied(text) => types::Error::Denied(text),
            old::PortError::Limit(text) => types::Error::Limit(text),
            old::PortError::Corrupt(text) => types::Error::Corrupt(text),
            old::PortError::Unavailable(text) => types::Error::Unavailable(text),
            old::PortError::Cancelled => types::Error::Cancelled,
            old::PortError::Other(text) => types::Error::PortFailed(text),
        },
    }
}

pub(super) fn task(task: &types::Task) -> old::Task {
    let types::Task {
        id,
        job_id,
        domain_id,
        capability,
        capability_filters,
        inputs_cids,
        outputs_prefix,
        label,
        stage,
        meta,
        attempts,
        max_attempts,
    } = task.clone();
    old::Task {
        id,
        job_id,
        domain_id,
        capability,
        capability_filters,
        inputs_cids,
        outputs_prefix,
        label,
        stage,
        meta,
        attempts,
        max_attempts,
    }
}

pub(super) fn description(described: old::Description) -> types::Description {
    let old::Description { name, version, summary, capabilities, requests, meta_schema, homepage, license } =
        described;
    let old::Requests {
        memory_bytes,
        deadline_ms,
        cpu_time_ms,
        scratch_bytes,
        output_bytes,
        network_hosts,
        environment,
        directories,
    } = requests;
    let requests = types::Requests {
        memory_bytes,
        deadline_ms,
        cpu_time_ms,
        scratch_bytes,
        output_bytes,
        // What it can't ask for it gets by default.
        artifacts: None,
        network_hosts,
        environment,
        directories,
    };
    types::Description { name, version, summary, capabilities, requests, meta_schema, homepage, license }
}

pub(super) fn part_info(info: inputs::PartInfo) -> old_inputs::PartInfo {
    let inputs::PartInfo { data_id, name, data_type, size, domain_id, created_at, updated_at } = info;
    old_inputs::PartInfo { data_id, name, data_type, size, domain_id, created_at, updated_at }
}

pub(super) fn artifact_options(options: old_outputs::ArtifactOptions) -> outputs::ArtifactOptions {
    let old_outputs::ArtifactOptions { name, data_type, existing_id, size_hint } = options;
    outputs::ArtifactOptions { name, data_type, existing_id, size_hint }
}

pub(super) fn stored_artifact(stored: outputs::StoredArtifact) -> old_outputs::StoredArtifact {
    let outputs::StoredArtifact { logical_path, name, data_type, id, size } = stored;
    old_outputs::StoredArtifact { logical_path, name, data_type, id, size }
}

pub(super) fn report_error(error: control::ReportError) -> old_control::ReportError {
    match error {
        control::ReportError::InvalidJson(what) => old_control::ReportError::InvalidJson(what),
        control::ReportError::TooLarge(limit) => old_control::ReportError::TooLarge(limit),
        control::ReportError::Dropped => old_control::ReportError::Dropped,
    }
}

pub(super) fn log_level(level: old_control::LogLevel) -> control::LogLevel {
    match level {
        old_control::LogLevel::Debug => control::LogLevel::Debug,
        old_control::LogLevel::Info => control::LogLevel::Info,
        old_control::LogLevel::Warn => control::LogLevel::Warn,
        old_control::LogLevel::Error => control::LogLevel::Error,
    }
}

pub(super) fn budget(budget: control::Budget) -> old_control::Budget {
    let control::Budget { memory_bytes, scratch_bytes, output_bytes_left, time_left_ms } = budget;
    old_control::Budget { memory_bytes, scratch_bytes, output_bytes_left, time_left_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_error_that_an_old_runner_passes_on_stays_what_it_was() {
        let text = || "scan.ply".to_owned();
        let errors = [
            types::Error::NotFound(text()),
            types::Error::InvalidCall(text()),
            types::Error::Denied(text()),
            types::Error::Limit(text()),
            types::Error::Corrupt(text()),
            types::Error::Unavailable(text()),
            types::Error::Cancelled,
            types::Error::PortFailed(text()),
        ];
        for error in errors {
            let back = run_error(old::RunError::Port(port_error(error.clone())));
            assert_eq!(format!("{back:?}"), format!("{error:?}"));
        }
    }
}
