//! Where an artifact is stored.

use posemesh_runner_api::replace::Replaceable;

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
