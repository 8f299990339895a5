//! Where an artifact is stored.

use posemesh_runner_api::replace::Replaceable;

use crate::api::error::DomainError;
use crate::api::lookup::ExistingData;

/// Path, name and type of an artifact, and the id that the runner wants to replace.
#[derive(Debug, Clone)]
pub(crate) struct ArtifactTarget {
    pub(crate) logical_path: String,
    pub(crate) name: String,
    pub(crate) data_type: String,
    pub(crate) given_id: Option<String>,
    /// What it may replace. A name that the node has made ends in the task's id: what it finds is the task's own.
    pub(crate) replaceable: Replaceable,
}

impl ArtifactTarget {
    /// What was found by the artifact's name, if the artifact may replace it.
    ///
    /// # Errors
    /// [`DomainError::NotReplaceable`] if it may not.
    pub(super) fn permitted(&self, found: ExistingData) -> Result<ExistingData, DomainError> {
        match found.id().filter(|id| !self.replaceable.allows(id)) {
            Some(id) => Err(DomainError::NotReplaceable(id.to_owned())),
            None => Ok(found),
        }
    }
}
