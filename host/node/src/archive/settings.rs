//! Where the history is, and how much of it is kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of the database in `DATA_DIR`.
const NAME: &str = "history.sqlite";

/// Where the history is, and how much of it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArchiveSettings {
    /// `DATA_DIR`; nothing is kept without it.
    pub(crate) folder: Option<PathBuf>,
    /// The size of the database at most.
    pub(crate) max_bytes: u64,
    /// How long entries are kept.
    pub(crate) max_age: Duration,
}

impl Default for ArchiveSettings {
    fn default() -> Self {
        Self { folder: None, max_bytes: 64 << 20, max_age: Duration::from_secs(90 * 24 * 3600) }
    }
}

/// The database below a `DATA_DIR`.
pub fn database_in(data_dir: &Path) -> PathBuf {
    data_dir.join(NAME)
}
