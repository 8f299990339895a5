//! How a call of `inputs` or `outputs` fails: an error that the guest gets, or a trap that ends it.

use posemesh_runner_api::ports::PortError;
use wasmtime::component::ResourceTableError;

use crate::manifest::limits::LimitReached;

/// Why a host function did not succeed.
#[derive(Debug)]
pub(crate) enum PortFailure {
    /// The guest gets it as `error` and goes on.
    Returned(PortError),
    /// The guest is ended.
    Trap(wasmtime::Error),
}

impl From<PortError> for PortFailure {
    fn from(error: PortError) -> Self {
        Self::Returned(error)
    }
}

impl From<LimitReached> for PortFailure {
    fn from(error: LimitReached) -> Self {
        Self::Returned(PortError::limit(error.to_string()))
    }
}

impl From<ResourceTableError> for PortFailure {
    fn from(error: ResourceTableError) -> Self {
        match error {
            ResourceTableError::Full => Self::Returned(PortError::limit(
                "too many handles are open: the runner's limit `handles`; drop inputs, parts and artifacts that are done; \
                 `describe` has no way to ask for more, the operator sets it in NAME.toml, [limits], up to \
                 RUNNER_MAX_HANDLES",
            )),
            // A handle that is none: the guest made it up, or the host lost it.
            other => Self::Trap(other.into()),
        }
    }
}
