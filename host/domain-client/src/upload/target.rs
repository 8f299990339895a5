//! Where an artifact is stored.

/// Path, name and type of an artifact, and the id that the runner wants to replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArtifactTarget {
    pub(crate) logical_path: String,
    pub(crate) name: String,
    pub(crate) data_type: String,
    pub(crate) given_id: Option<String>,
}
