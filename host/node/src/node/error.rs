//! Why a node can't start.

use crate::audit::AuditError;
use crate::auth::dds::DdsError;
use crate::control::ControlError;
use crate::registration::legacy::LegacyError;
use crate::status::StatusError;
use crate::workdir::WorkDirError;
use posemesh_domain_client::DomainError;
use posemesh_plugin_host::load::{CacheError, EngineError};
use posemesh_plugin_host::sandbox::SandboxError;

/// Why a node can't start. The text says what was attempted, why it failed and what helps.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NodeError(StartFailure);

impl<E: Into<StartFailure>> From<E> for NodeError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// What failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartFailure {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("reading PLUGINS_DIR {dir}: {error}; it is the folder with the runners, NAME.wasm")]
    Plugins { dir: String, error: std::io::Error },
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    WorkDir(#[from] WorkDirError),
    #[error(transparent)]
    Storage(#[from] DomainError),
    #[error(transparent)]
    Dds(#[from] DdsError),
    #[error(transparent)]
    Status(#[from] StatusError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Legacy(#[from] LegacyError),
    #[error("making the client of DMS: {0}")]
    Dms(String),
}
