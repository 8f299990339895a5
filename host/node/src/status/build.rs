//! What the program was built from.

/// The commit, if the build said so.
pub(super) const COMMIT: &str = match option_env!("POSEMESH_NODE_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};
