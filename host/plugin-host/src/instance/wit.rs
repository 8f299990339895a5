//! The WIT's types and ours, one into the other.

use posemesh_runner_api::ports::{Artifact, ArtifactSpec, PartInfo, PortError, PortErrorKind};
use posemesh_runner_api::task::Task;

use crate::instance::bindings::posemesh::runner::{inputs, outputs, types};
use crate::instance::port_failure::PortFailure;
use crate::manifest::description::RawDescription;
use crate::manifest::limits::LimitSettings;

/// A failure as the guest sees it, unless it ends the guest.
pub(crate) fn port_error(failure: PortFailure) -> wasmtime::Result<types::Error> {
    match failure {
        PortFailure::Trap(error) => Err(error),
        PortFailure::Returned(PortError { kind, text, .. }) => Ok(match kind {
            PortErrorKind::NotFound => types::Error::NotFound(text),
            PortErrorKind::Invalid => types::Error::InvalidCall(text),
            PortErrorKind::Denied => types::Error::Denied(text),
            PortErrorKind::Limit => types::Error::Limit(text),
            PortErrorKind::Corrupt => types::Error::Corrupt(text),
            PortErrorKind::Unavailable => types::Error::Unavailable(text),
            PortErrorKind::Cancelled => types::Error::Cancelled,
            PortErrorKind::Other => types::Error::PortFailed(text),
        }),
    }
}

pub(crate) fn task(task: &Task) -> types::Task {
    types::Task {
        id: task.id.to_string(),
        job_id: task.job_id.map(|id| id.to_string()),
        domain_id: task.domain_id.map(|id| id.to_string()),
        capability: task.capability.clone(),
        capability_filters: task.capability_filters.as_str().to_owned(),
        inputs_cids: task.inputs_cids.clone(),
        outputs_prefix: task.outputs_prefix.clone(),
        label: task.label.clone(),
        stage: task.stage.clone(),
        meta: task.meta.as_str().to_owned(),
        attempts: task.attempts,
        max_attempts: task.max_attempts,
    }
}

pub(crate) fn raw_description(raw: types::Description) -> RawDescription {
    let requests = raw.requests;
    RawDescription {
        name: raw.name,
        version: raw.version,
        summary: raw.summary,
        capabilities: raw.capabilities,
        limits: LimitSettings {
            memory_bytes: requests.memory_bytes,
            deadline_ms: requests.deadline_ms,
            cpu_time_ms: requests.cpu_time_ms,
            scratch_bytes: requests.scratch_bytes,
            output_bytes: requests.output_bytes,
            artifacts: requests.artifacts,
            // The WIT has no field for the others: only an operator sets them.
            ..LimitSettings::default()
        },
        network_hosts: requests.network_hosts,
        environment: requests.environment,
        directories: requests.directories,
        meta_schema: raw.meta_schema,
        homepage: raw.homepage,
        license: raw.license,
    }
}

pub(crate) fn part_info(info: &PartInfo) -> inputs::PartInfo {
    inputs::PartInfo {
        data_id: info.data_id.clone(),
        name: info.name.clone(),
        data_type: info.data_type.clone(),
        size: info.size,
        domain_id: info.domain_id.clone(),
        created_at: info.created_at.clone(),
        updated_at: info.updated_at.clone(),
    }
}

pub(crate) fn artifact_spec(path: String, options: outputs::ArtifactOptions) -> ArtifactSpec {
    ArtifactSpec {
        path,
        name: options.name,
        data_type: options.data_type,
        existing_id: options.existing_id,
        size_hint: options.size_hint,
    }
}

pub(crate) fn stored_artifact(artifact: Artifact) -> outputs::StoredArtifact {
    outputs::StoredArtifact {
        logical_path: artifact.logical_path,
        name: artifact.name,
        data_type: artifact.data_type,
        id: artifact.id,
        size: artifact.size,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use posemesh_runner_api::json_text::JsonText;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_runner_gets_parameters_and_filters_as_they_were_written() {
        let meta = r#"{ "z": 51.248178375505404, "a": 123456789012345678901234567890, "z": 1e400 }"#;
        let mut ours = Task::new(Uuid::nil(), "/c/v1");
        ours.meta = JsonText::parse(meta).unwrap();
        ours.capability_filters = JsonText::parse("[ 1.0 ]").unwrap();
        let guests = task(&ours);
        assert_eq!((guests.meta.as_str(), guests.capability_filters.as_str()), (meta, "[ 1.0 ]"));
        assert_eq!(task(&Task::new(Uuid::nil(), "/c/v1")).meta, "null");
    }
}
