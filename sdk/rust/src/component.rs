//! The exported side of a component; called by what `export!` makes.

use crate::description::Package;
use crate::host::Host;
use crate::runner::Runner;
use crate::task::{Given, Task as OurTask};

/// What `wit-bindgen` makes of `wit/`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "runner", pub_export_macro: true });
}

pub use bindings::export;
pub use bindings::exports::posemesh::runner::entry::{Description, Guest, Task};
pub use bindings::posemesh::runner::types::Error;
use bindings::posemesh::runner::types::Requests;

/// What `describe` returns.
pub fn describe<R: Runner>(package: &Package) -> Description {
    let requests = R::requests();
    Description {
        name: package.name.into(),
        version: package.version.into(),
        summary: package.summary.into(),
        capabilities: R::CAPABILITIES.iter().map(|&capability| capability.into()).collect(),
        requests: Requests {
            memory_bytes: requests.memory_bytes,
            deadline_ms: requests.deadline_ms,
            cpu_time_ms: requests.cpu_time_ms,
            scratch_bytes: requests.scratch_bytes,
            output_bytes: requests.output_bytes,
            artifacts: requests.artifacts,
            network_hosts: requests.network_hosts,
            environment: requests.environment,
            directories: requests.directories,
        },
        meta_schema: R::meta_schema(),
        homepage: package.homepage(),
        license: (!package.license.is_empty()).then(|| package.license.into()),
    }
}

/// What `run` does.
///
/// # Errors
/// The runner's.
pub fn run<R: Runner>(task: Task) -> Result<(), Error> {
    let given = Given {
        id: task.id,
        job_id: task.job_id,
        domain_id: task.domain_id,
        capability: task.capability,
        capability_filters: task.capability_filters,
        inputs_cids: task.inputs_cids,
        outputs_prefix: task.outputs_prefix,
        label: task.label,
        stage: task.stage,
        meta: task.meta,
        attempts: task.attempts,
        max_attempts: task.max_attempts,
    };
    let task = OurTask::new(given, Host);
    let params = task.params()?;
    Ok(R::run(&task, params)?)
}

impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidTask(text) => Self::InvalidTask(text),
            Error::InvalidInput(text) => Self::InvalidInput(text),
            Error::Failed(text) => Self::Failed(text),
            Error::NotFound(text) => Self::NotFound(text),
            Error::InvalidCall(text) => Self::InvalidCall(text),
            Error::Denied(text) => Self::Denied(text),
            Error::Limit(text) => Self::Limit(text),
            Error::Corrupt(text) => Self::Corrupt(text),
            Error::Unavailable(text) => Self::Unavailable(text),
            Error::Cancelled => Self::Cancelled,
            Error::PortFailed(text) => Self::PortFailed(text),
        }
    }
}

impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Self {
        match error {
            crate::Error::InvalidTask(text) => Self::InvalidTask(text),
            crate::Error::InvalidInput(text) => Self::InvalidInput(text),
            crate::Error::Failed(text) => Self::Failed(text),
            crate::Error::NotFound(text) => Self::NotFound(text),
            crate::Error::InvalidCall(text) => Self::InvalidCall(text),
            crate::Error::Denied(text) => Self::Denied(text),
            crate::Error::Limit(text) => Self::Limit(text),
            crate::Error::Corrupt(text) => Self::Corrupt(text),
            crate::Error::Unavailable(text) => Self::Unavailable(text),
            crate::Error::Cancelled => Self::Cancelled,
            crate::Error::PortFailed(text) => Self::PortFailed(text),
        }
    }
}
